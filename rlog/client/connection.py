"""A connection to a log that runs by itself, and the spaces that are reached through it."""

import os
import random

from protocol.credentials import Credentials, load_credentials
from protocol.handshake import LinkIdentity
from protocol.links import LinkPace
from protocol.messages.link import LinkRole
from rlog.client.asking import DEADLINE_S, Asking, Door
from rlog.client.keeper import Keeper


class Connection(Asking):
    """Finds the member that leads, and finds the next one when that is lost."""

    def space(self, name: str) -> Keeper:
        """Return a space by its name; nothing is asked yet."""
        return Keeper(self, name)


def connect(
    addresses: str,
    credentials: Credentials | str = "",
    *,
    principal: str = "",
    deadline_s: float = DEADLINE_S,
    rng: random.Random | None = None,
    pace: LinkPace | None = None,
) -> Connection:
    """Return a connection to be opened with `async with`.

    `addresses` are those of all members, with commas between them. `credentials` are a file, or
    what was read of one; without any no secret is shown. Raises: ValueError.
    """
    if isinstance(credentials, str):
        credentials = load_credentials(credentials) if credentials else Credentials.insecure()
    principal = principal or credentials.principal_for(LinkRole.KEEPER)
    identity = LinkIdentity(LinkRole.KEEPER, f"client:{os.getpid()}", principal, credentials)
    found = tuple(part.strip() for part in addresses.split(",") if part.strip())
    return Connection(Door(found, identity), deadline_s=deadline_s, rng=rng, pace=pace)
