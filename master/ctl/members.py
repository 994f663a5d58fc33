"""The commands that change who belongs to the masters, and who of them leads."""

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from master.ctl.asking import ask_over, connect, run
from master.ctl.target import CommandError, Target
from protocol.client import OperatorClient
from protocol.errors import Unavailable
from protocol.messages.operator import (
    AddMaster,
    Done,
    Failed,
    ListMasters,
    Masters,
    MasterView,
    OperatorMessage,
    PromoteMaster,
    RemoveMaster,
    TransferLeadership,
)

POLL_S = 0.2
CHANGE_S_MAX = 20.0  # a change may wait for an election, and for the change before it
LINK_S_MAX = 5.0  # the leader calls a new member at once, and again soon when that is refused
PASSING = ("LAGGING", "SILENT")  # reasons that time may cure


def add_master(target: Target, address: str) -> None:
    """Add a learner. Raises: CommandError."""

    async def work() -> None:
        client = await connect(target)
        try:
            await _add(client, address)
            _say(f"{address}: added; when it has caught up: quorate masters promote {address}")
            await _look_for(client, address)
        finally:
            await client.close()

    run(work())


def promote_master(target: Target, address: str, wait_s: float) -> None:
    """Make a learner a voter once it has caught up. Raises: CommandError."""

    async def work() -> None:
        client = await connect(target)
        try:
            await _promote(client, address, wait_s)
        finally:
            await client.close()
        _say(f"{address}: promoted; it votes")

    run(work())


def remove_master(target: Target, address: str) -> None:
    """Remove a voter or a learner. Raises: CommandError."""

    async def work() -> None:
        client = await connect(target)
        try:
            await _remove(client, address)
        finally:
            await client.close()
        _say(f"{address}: removed; stop it now, and start it never again with its old --peers")

    run(work())


def replace_master(target: Target, old: str, new: str, wait_s: float) -> None:
    """Let one master take the place of another, step by step. Raises: CommandError."""

    async def work() -> None:
        client = await connect(target)
        try:
            await _find(client, old)
            await _add(client, new)
            _say(f"{new}: added")
            await _promote(client, new, wait_s)
            _say(f"{new}: promoted; it votes")
            await _remove(client, old)
        finally:
            await client.close()
        _say(f"{old}: removed; stop it if it still runs")

    run(work())


def transfer_leadership(target: Target, address: str) -> None:
    """Let a voter lead. Raises: CommandError."""

    async def work() -> None:
        client = await connect(target)
        try:
            await _ask(client, TransferLeadership(address=address))
        finally:
            await client.close()
        _say(f"{address}: leads")

    run(work())


# Steps, each of which may be taken again: what is done already is no error.


async def _add(client: OperatorClient, address: str) -> None:
    await _ask(client, AddMaster(address=address))


async def _look_for(client: OperatorClient, address: str) -> None:
    """Warn of a new member to which the leader finds no link within a moment, and say why."""
    until_s = time.monotonic() + LINK_S_MAX
    with suppress(Unavailable):  # it is added, whatever comes of the one that said so
        while not (view := await _find(client, address)).is_reachable:
            if time.monotonic() >= until_s:
                trouble = view.trouble or "no answer"
                sys.stderr.write(f"{address}: does not answer the leader yet: {trouble}\n")
                return
            await asyncio.sleep(POLL_S)


async def _promote(client: OperatorClient, address: str, wait_s: float) -> None:
    """Promote, as soon as that is not refused for what time may cure."""
    until_s = time.monotonic() + wait_s
    with _progress(address) as tell:
        while True:
            answer = await client.ask(PromoteMaster(address=address), CHANGE_S_MAX)
            if not isinstance(answer, Failed):
                return
            if answer.reason not in PASSING or time.monotonic() >= until_s:
                raise CommandError(answer.text or answer.reason)
            view = await _find(client, address)
            tell(view.lag, answer.text)
            await asyncio.sleep(POLL_S)


async def _remove(client: OperatorClient, address: str) -> None:
    await _find(client, address)
    await _ask(client, RemoveMaster(address=address))


async def _find(client: OperatorClient, address: str) -> MasterView:
    """Return a member as the leader sees it. Raises: CommandError when it is none."""
    views = (await ask_over(client, ListMasters(), Masters)).masters
    for view in views:
        if view.address == address and view.member:
            return view
    names = ", ".join(view.address for view in views if view.member)
    raise CommandError(f"no master {address}; the masters are {names}")


async def _ask(client: OperatorClient, question: OperatorMessage) -> None:
    answer = await client.ask(question, CHANGE_S_MAX)
    if isinstance(answer, Failed):
        raise CommandError(answer.text or answer.reason)
    if not isinstance(answer, Done):
        raise CommandError(f"unexpected answer {type(answer).__name__}")


# What is printed


class _Lag:
    """Shows how a master catches up: a bar on a terminal, a line at a time elsewhere."""

    def __init__(self, address: str, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task(address, total=None, lag="")
        self._first: int | None = None
        self._said = ""

    def __call__(self, lag: int, text: str) -> None:
        self._first = max(lag, self._first or 0)
        done = self._first - lag
        self._progress.update(self._task, total=self._first, completed=done, lag=f"{lag} behind")
        if not self._progress.console.is_terminal and text != self._said:
            self._said = text
            sys.stderr.write(f"waiting: {text}\n")


@contextmanager
def _progress(address: str) -> Iterator[_Lag]:
    console = Console(stderr=True)
    columns = ("{task.description}", BarColumn(), TextColumn("{task.fields[lag]}"))
    bar = Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar as progress:
        yield _Lag(address, progress)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
