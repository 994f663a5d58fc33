"""A log that lost its majority: what one directory still holds, and a new beginning from it."""

from dataclasses import dataclass

from protocol.errors import Broken
from rlog.config import draw_id
from rlog.directory import LogDirectory
from rlog.membership import (
    CONFIGURATION,
    Configuration,
    Membership,
    configuration_command,
    founding_command,
    kind_of,
)
from rlog.messages import Entry
from rlog.rows import Standing
from rlog.store import Store, look_into, require_log

TERMS_AHEAD = 1000  # more elections than those that are lost may have held since


@dataclass(frozen=True, slots=True)
class Holding:
    """What a directory holds."""

    name: str
    cluster: str
    cluster_id: str
    term: int
    last: int
    last_term: int
    committed: int  # as this member knew; more may have been, and all it holds may have been
    snapshot: int
    configuration: Configuration
    is_amnesiac: bool  # it was being filled: it may lack what others held


def inspect(directory: str) -> Holding:
    """Return what a directory holds that no process uses. Raises: Broken."""
    name, cluster = _identify(directory)
    store = Store(directory, name, cluster)
    try:
        return _hold(store, name, cluster)
    finally:
        store.close()


def recover(directory: str) -> Holding:
    """Make the owner of a directory the only voter of a cluster with a new id; return the result.

    All it holds counts as committed. The others are of another cluster from now on, should they
    ever return: what they committed without this member could not be merged.

    Raises: Broken.
    """
    name, cluster = _identify(directory)
    store = Store(directory, name, cluster)
    try:
        before = _hold(store, name, cluster)
        if not before.last:
            raise Broken(f"{directory} holds no entries: there is nothing to recover")
        cluster_id = draw_id()
        store.set_term(before.term + TERMS_AHEAD, "")
        for command in (founding_command(cluster_id), configuration_command([name])):
            store.add(Entry(store.last + 1, store.term, command))
        store.set_standing(Standing(cluster_id))
        store.set_committed(store.last)
        store.write_all()
        return _hold(store, name, cluster)
    finally:
        store.close()


def _identify(directory: str) -> tuple[str, str]:
    require_log(directory)
    LogDirectory(directory).release()
    with look_into(directory) as (tables, txn):
        identity = tables.identity(txn)
    if identity is None:
        raise Broken(f"{directory} holds no log: it was never started")
    return identity.name, identity.cluster


def _hold(store: Store, name: str, cluster: str) -> Holding:
    standing, last_term = store.standing, store.term_at(store.last)
    assert last_term is not None
    return Holding(
        name=name,
        cluster=cluster,
        cluster_id=standing.cluster_id,
        term=store.term,
        last=store.last,
        last_term=last_term,
        committed=store.committed,
        snapshot=store.snapshot.index,
        configuration=membership_of(store).newest,
        is_amnesiac=bool(standing.amnesia_until) or not store.last,
    )


def membership_of(store: Store) -> Membership:
    """Return all configurations that a store holds."""
    snapshot = store.snapshot
    known = Configuration(snapshot.configuration_index, snapshot.voters, snapshot.learners)
    membership = Membership(known if snapshot.index else Configuration(0, store.found(())))
    index = max(store.first, snapshot.index + 1)
    while index <= store.last:
        entries = store.range(index, store.last + 1)
        for entry in entries:
            if kind_of(entry.command) == CONFIGURATION:
                membership.append(entry.index, entry.command)
        index += len(entries)
    return membership
