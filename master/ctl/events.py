"""`quorate events`: what the masters' log says, and goes on to say."""

import json
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from master.ctl.asking import connect, run
from master.ctl.entries import Bounds, Compacted, EntryReader
from master.ctl.kinds import Kind, kind_of_contents
from master.ctl.logged import Told, lines_of, tell
from master.ctl.past import read_snapshot
from master.ctl.plain import parse_time, plain
from master.ctl.target import CommandError, MisuseError, Target
from rlog.membership import PAYLOAD, kind_of
from rlog.messages import Entry

BACK_ENTRIES = 1000  # read at once while the last events are looked for, newest first


@dataclass(frozen=True, slots=True)
class Choice:
    """Which events, and how."""

    first: str = ""
    last: str = ""
    count: int = 50
    only: tuple[str, ...] = ()
    about: tuple[str, ...] = ()
    is_followed: bool = False
    is_with_state: bool = False
    form: str = "table"


def show_events(target: Target, choice: Choice) -> None:
    """Print events of a running cluster. Raises: CommandError, MisuseError."""
    if choice.is_followed and choice.last:
        raise MisuseError("--follow goes on for ever: give it no --to")
    run(_show(target, choice))


async def _show(target: Target, choice: Choice) -> None:
    client = await connect(target)
    try:
        reader = EntryReader(client)
        bounds = await reader.bounds()
        printer = Printer(choice, await _kind(reader, bounds))
        first, last = await _span(reader, bounds, choice)
        if not choice.first:
            first = await _show_last(reader, bounds, last, printer)
        await _show_from(reader, first, last, printer)
    except Compacted:
        bounds = await reader.bounds()
        raise CommandError(
            f"entries before {bounds.first} are covered by a snapshot; begin "
            f"--from {bounds.first}, or give --snapshot to begin with the state"
        ) from None
    finally:
        await client.close()


async def _kind(reader: EntryReader, bounds: Bounds) -> Kind:
    """Return what is kept in the log, by the first snapshot or payload there is."""
    async for part in reader.snapshot():
        if part.content:
            return kind_of_contents([part.content])
        break
    async for entry in reader.read(bounds.first, bounds.committed):
        if kind_of(entry.command) == PAYLOAD:
            return kind_of_contents([entry.command[1:]])
    return kind_of_contents([])


async def _span(reader: EntryReader, bounds: Bounds, choice: Choice) -> tuple[int, int]:
    """Return the first and the last entry that were asked for.

    Raises: Compacted, MisuseError.
    """
    first, last = bounds.first, bounds.committed
    if choice.first.isdecimal():
        first = max(1, int(choice.first))
    elif choice.first:
        first = await _first_since(reader, bounds, parse_time("--from", choice.first))
    if choice.last.isdecimal():
        last = min(last, int(choice.last))
    elif choice.last:
        last_ns = parse_time("--to", choice.last, is_last=True)
        last = await _first_since(reader, bounds, last_ns + 1) - 1
    return first, last


async def _first_since(reader: EntryReader, bounds: Bounds, stamp_ns: int) -> int:
    """Return the first entry that is not older: stamps never go back along the log."""
    low, high = bounds.first, bounds.committed + 1
    while low < high:
        middle = (low + high) // 2
        found, stamp = await _stamp_from(reader, middle, high)
        if stamp is None or stamp >= stamp_ns:
            high = middle
        else:
            low = found + 1
    return low


async def _stamp_from(reader: EntryReader, index: int, end: int) -> tuple[int, int | None]:
    """Return the first entry from `index` on that has a time, and it; none before `end`: None."""
    async for entry in reader.read(index, end - 1):
        for line in lines_of(entry, entry.index, kind_of_contents(_contents(entry))):
            if "stamp_ns" in line:
                return entry.index, int(line["stamp_ns"])
    return end, None


def _contents(entry: Entry) -> list[bytes]:
    return [entry.command[1:]] if kind_of(entry.command) == PAYLOAD else []


async def _show_last(reader: EntryReader, bounds: Bounds, last: int, printer: "Printer") -> int:
    """Print the last events up to `last`; return the entry after it."""
    found: deque[str] = deque()
    end = last
    while end >= bounds.first and len(found) < printer.choice.count:
        begin = max(bounds.first, end - BACK_ENTRIES + 1)
        lines = [line async for entry in reader.read(begin, end) for line in printer.lines(entry)]
        found.extendleft(reversed(lines))
        end = begin - 1
    for line in list(found)[-printer.choice.count :]:
        printer.write(line)
    return last + 1


async def _show_from(reader: EntryReader, first: int, last: int, printer: "Printer") -> None:
    """Print events from an entry on, and wait for more if they are followed."""
    while True:
        try:
            async for entry in _entries(reader, first, last, printer.choice):
                for line in printer.lines(entry):
                    printer.write(line)
                first = entry.index + 1
            return
        except Compacted:
            if not printer.choice.is_with_state:
                raise
            content, index = await read_snapshot(reader)
            if index < first:
                raise CommandError(f"no snapshot covers entry {first}; try again") from None
            printer.write(printer.state(content, index))
            first = index + 1


async def _entries(
    reader: EntryReader, first: int, last: int, choice: Choice
) -> AsyncIterator[Entry]:
    source = reader.follow(first) if choice.is_followed else reader.read(first, last)
    async for entry in source:
        yield entry


class Printer:
    """Makes lines of entries, of those events that were asked for."""

    def __init__(self, choice: Choice, kind: Kind) -> None:
        self.choice = choice
        self._kind = kind
        self._is_json = choice.form == "json"

    def lines(self, entry: Entry) -> Iterator[str]:
        """Yield a line for each event."""
        told = list(tell(entry, self._kind))
        if not self._is_json:
            yield from (str(each) for each in told if self._is_wanted(each))
            return
        for each, line in zip(told, lines_of(entry, entry.index, self._kind), strict=True):
            if self._is_wanted(each):
                yield _json(line)

    def state(self, content: bytes, index: int) -> str:
        """Return the line of the state that a snapshot holds."""
        if not self._is_json:
            return f"{index:>8}  what came before is kept as its outcome only: `quorate replay`"
        state = self._kind.machine.load(content)
        held = {name: plain(getattr(state, name)) for name in self._kind.durable}
        return _json({"kind": "snapshot", "index": index, "state": held})

    def write(self, line: str) -> None:
        """Print a line, at once if somebody waits for it."""
        sys.stdout.write(line + "\n")
        if self.choice.is_followed:
            sys.stdout.flush()

    def _is_wanted(self, told: Told) -> bool:
        return told.is_of(self.choice.only) and told.is_about(self.choice.about)


def _json(line: dict[str, Any]) -> str:
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False)
