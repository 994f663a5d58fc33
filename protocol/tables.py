"""Lists as tables that stay readable in 80 columns, for every command line."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

GAP = 2  # blank columns between two columns
SHRUNK_MIN = 9  # a shrunk cell keeps enough to be recognised
PIPED_COLUMNS = 1000  # who reads through a pipe wants whole ids


@dataclass(frozen=True, slots=True)
class Column:
    """A heading and how its cell is made; `shrinks` where an id may lose its middle."""

    title: str
    cell: Callable[[Any, int], str]  # of a view and the time now
    is_number: bool = False
    shrinks: bool = False


def open_console() -> Console:
    """Return a console as wide as the terminal, or wide enough for everything in a pipe."""
    width = shutil.get_terminal_size((PIPED_COLUMNS, 25)).columns
    return Console(width=width, highlight=False)


def shorten(text: str, width: int) -> str:
    """Return `text` within `width` columns; ids differ at their ends, so the middle goes."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"


def tabulate(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    width: int,
    styles: Mapping[str, str] | None = None,
) -> Table:
    """Return a table no wider than `width` where only ids were shortened to reach that.

    `styles` says how cells with these words look.
    """
    widths = _fit(columns, rows, width)
    styles = styles or {}
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
    for column, column_width in zip(columns, widths, strict=True):
        table.add_column(
            column.title,
            justify="right" if column.is_number else "left",
            no_wrap=True,
            width=column_width,
        )
    for row in rows:
        cells = [
            "\n".join(shorten(line, size) for line in cell.splitlines())
            for cell, size in zip(row, widths, strict=True)
        ]
        table.add_row(*[Text(cell, styles.get(cell, "")) for cell in cells])
    return table


def _fit(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return column widths, taking what is too much from the widest column that may shrink."""
    widths = [
        max(len(column.title), *(len(line) for row in rows for line in row[place].splitlines()), 0)
        for place, column in enumerate(columns)
    ]
    while sum(widths) + GAP * (len(columns) - 1) > width:
        free = [
            place
            for place, column in enumerate(columns)
            if column.shrinks and widths[place] > max(SHRUNK_MIN, len(column.title))
        ]
        if not free:
            break
        widest = max(free, key=lambda place: widths[place])
        widths[widest] -= 1
    return widths
