"""Progress of long work, on stderr, where a person looks on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Advance = Callable[[int], None]
UPDATES = 200  # drawn in all; more would cost more than the work


@contextmanager
def progress(what: str, first: int, last: int) -> Iterator[Advance]:
    """Show how far work on `first` to `last` has come, as the given function is told."""
    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    total = max(0, last - first + 1)
    step = max(1, total // UPDATES)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(what, total=total)

        def advance(done: int) -> None:
            if (done - first + 1) % step == 0:
                bar.update(task, completed=done - first + 1)

        yield advance
