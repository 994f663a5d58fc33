"""A client of a log that runs by itself: keys, transactions, watches, leases and journals in it."""

from rlog.client.asking import Refusal
from rlog.client.connection import Connection, connect
from rlog.client.election import Election, Leadership
from rlog.client.journal import Journal, Writer
from rlog.client.keeper import Held, Keeper

__all__ = [
    "Connection",
    "Election",
    "Held",
    "Journal",
    "Keeper",
    "Leadership",
    "Refusal",
    "Writer",
    "connect",
]
