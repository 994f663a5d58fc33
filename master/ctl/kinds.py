"""What lies in a log: the masters' cluster, or what a log by itself keeps."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from master.core import invariants
from master.core.events import LogRestored
from master.core.snapshot import digest
from master.core.state import State
from master.registrar import Registrar
from rlog.alone.core import state as lone
from rlog.alone.core.events import LogRestored as LoneLogRestored
from rlog.alone.registrar import REVISIONS_SKIPPED, LoneRegistrar
from rlog.archive import Archive
from rlog.backup import Block
from rlog.membership import PAYLOAD, kind_of
from rlog.spaces import invariants as space_invariants

LAUNCHES_SKIPPED = 1_000_000_000  # more than a cluster launches between a backup and its loss
FRAMEWORKS_SKIPPED = 100_000

AnyState: TypeAlias = State | lone.State


@dataclass(frozen=True, slots=True)
class Kind:
    """How a log of one kind is folded, proven and restored."""

    machine: Any  # its `rlog.machine.Machine`
    check: Callable[[Any], None]  # asserts everything that must hold of a state
    digest: Callable[[Any], str]
    durable: Sequence[str]  # the fields of a state that snapshots hold
    restored: Any  # the event that ends a restored log


def _durable(kind: type) -> Sequence[str]:
    return [each.name for each in fields(kind) if each.name != "soft"]


MASTERS = Kind(
    Registrar(),
    invariants.check,
    digest,
    _durable(State),
    LogRestored(LAUNCHES_SKIPPED, FRAMEWORKS_SKIPPED),
)
LONE = Kind(
    LoneRegistrar(),
    lambda state: space_invariants.check(state.spaces),
    lone.digest,
    _durable(lone.State),
    LoneLogRestored(REVISIONS_SKIPPED),
)


def kind_of_archive(archive: Archive) -> Kind:
    """Return the kind of a log in a directory; an empty one is as good as the masters'.

    Raises: CorruptLog.
    """
    outline = archive.outline
    if outline.snapshot.index:
        return kind_of_contents(archive.snapshot_chunks())
    return kind_of_contents(entry.payload for entry in archive.payloads(outline.last))


def kind_of_backup(blocks: Iterable[Block]) -> Kind:
    """Return the kind of a log in a file. Raises: Malformed."""
    return kind_of_contents(_contents(blocks))


def _contents(blocks: Iterable[Block]) -> Iterable[bytes]:
    for block in blocks:
        if isinstance(block, bytes):
            yield block
        elif isinstance(block, list):
            yield from (e.command[1:] for e in block if kind_of(e.command) == PAYLOAD)


def kind_of_contents(contents: Iterable[bytes]) -> Kind:
    """Return the kind by the first snapshot's chunk or payload that there is."""
    first = next(iter(contents), b"")
    return LONE if lone.is_ours(first) else MASTERS
