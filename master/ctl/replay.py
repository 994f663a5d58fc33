"""`quorate replay`: the masters' state at any point that a log still reaches back to."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from master.core.state import State
from master.core.view import (
    view_agents,
    view_frameworks,
    view_policies,
    view_quotas,
    view_roles,
    view_tasks,
)
from master.ctl.kinds import AnyState, Kind, kind_of_archive
from master.ctl.objects import PLAIN
from master.ctl.past import Past
from master.ctl.plain import format_time, parse_time
from master.ctl.progress import Advance, progress
from master.ctl.tables import show
from master.ctl.target import CommandError, MisuseError
from protocol.errors import CorruptLog
from protocol.messages.operator import (
    AgentView,
    FrameworkView,
    PolicyView,
    QuotaView,
    RoleView,
    TaskView,
)
from protocol.tables import open_console
from rlog.archive import Archive, open_archive
from rlog.log import Committed
from rlog.spaces.views import SpaceView, view_spaces


@contextmanager
def open_masters_log(directory: str) -> Iterator[Archive]:
    """Give the log in a master's data directory. Raises: CorruptLog, MisuseError."""
    with open_archive(directory) as archive:
        if not archive.outline.is_replicated:
            raise MisuseError(
                f"{directory} holds the log of {archive.outline.identity.name}, not of a master"
            )
        yield archive


class Replay:
    """A state folded entry by entry from a snapshot on, or from nothing."""

    def __init__(self, kind: Kind, content: bytes | None, index: int) -> None:
        """`content` is what the snapshot of entry `index` holds."""
        self.kind = kind
        self._machine = kind.machine
        self.state: AnyState = (
            self._machine.empty() if content is None else self._machine.load(content)
        )
        self.index = index
        self.events = 0  # folded by this replay
        self.until_ns: int | None = None  # entries stamped later are left out
        self.digest_every = 0  # events from one printed digest to the next

    @classmethod
    def of_archive(cls, archive: Archive) -> "Replay":
        """Begin with the snapshot of a directory. Raises: CorruptLog."""
        content = archive.snapshot_content()
        return cls(kind_of_archive(archive), content, archive.outline.snapshot.index)

    def run(self, payloads: Iterable[Committed], on_entry: Advance) -> None:
        """Fold payloads, which go on from the snapshot. Raises: CorruptLog."""
        for entry in payloads:
            if not self._fold(entry):
                return
            self.index = entry.index
            on_entry(entry.index)

    def dump(self) -> bytes:
        """Return the state as snapshots hold it."""
        content: bytes = self._machine.dump(self.state)
        return content

    def _fold(self, entry: Committed) -> bool:
        stamp_ns, events = self._machine.decode(entry.payload)
        if self.until_ns is not None and stamp_ns > self.until_ns:
            return False
        self.state.now_ns = stamp_ns
        try:
            for event in events:
                self._machine.apply(self.state, event)
        except Exception as error:
            raise CorruptLog(f"entry {entry.index} cannot be folded: {error!r}") from error
        before, self.events = self.events, self.events + len(events)
        if self.digest_every and before // self.digest_every < self.events // self.digest_every:
            sys.stdout.write(f"{entry.index} {self.events} {self.kind.digest(self.state)}\n")
        return True


def replay(past: Past, until: str, digest_every: int, form: str) -> None:
    """Fold a log to a point, and show the state there. Raises: CommandError, CorruptLog."""
    last, until_ns = _parse_until(until, past)
    replayed = Replay(past.kind, past.content, past.index)
    replayed.until_ns, replayed.digest_every = until_ns, digest_every
    if until_ns is not None and replayed.state.now_ns > until_ns:
        raise _too_early(past, format_time(replayed.state.now_ns))
    with progress("entries", past.index + 1, last) as advance:
        replayed.run(past.payloads(last), advance)
    _show_state(replayed, form)
    if past.last > past.committed and not until:
        sys.stderr.write(
            f"quorate: this copy does not know whether what follows is committed; "
            f"--until {past.last} folds it too\n"
        )


def _parse_until(until: str, past: Past) -> tuple[int, int | None]:
    """Return the last entry to fold, and the time in ns after which not to.

    Raises: CommandError.
    """
    if not until:
        return past.committed, None
    if until.isdecimal():
        if int(until) > past.last:
            raise MisuseError(f"--until: the log ends at entry {past.last}")
        if int(until) < past.index:
            raise _too_early(past, f"entry {past.index}")
        return int(until), None
    return past.committed, parse_time("--until", until, is_last=True)


def _too_early(past: Past, first: str) -> CommandError:
    return CommandError(
        f"--until: this log begins with the snapshot of entry {past.index}; "
        f"the earliest state it has is that of {first}"
    )


def _show_state(replayed: Replay, form: str) -> None:
    state, digest = replayed.state, replayed.kind.digest(replayed.state)
    if isinstance(state, State):
        views: dict[type, Sequence[Any]] = {
            FrameworkView: view_frameworks(state, is_all=True),
            AgentView: view_agents(state),
            TaskView: view_tasks(state, is_all=True),
            RoleView: view_roles(state),
            QuotaView: view_quotas(state),
            PolicyView: view_policies(state),
        }
    else:
        views = {SpaceView: view_spaces(state.spaces)}
    if form == "json":
        found: dict[str, Any] = {
            "index": replayed.index,
            "stamp_ns": state.now_ns,
            "digest": digest,
        }
        for kind, what in views.items():
            name = f"{kind.__name__.removesuffix('View').lower()}s"
            found[name] = [PLAIN[kind](each) for each in what]
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return
    console = open_console()
    for kind, what in views.items():
        if what:
            show(console, kind, what, form, state.now_ns)
    when = format_time(state.now_ns) if state.now_ns else "the beginning"
    console.print(f"entry {replayed.index}, {when}\nstate {digest}", soft_wrap=True)
