"""Keys and records on a screen: as they are, as a table, or as lines of JSON."""

import base64
import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Any

from protocol.tables import Column, open_console, tabulate
from rlog.client.journal import Record
from rlog.spaces.messages import Item

ITEM_COLUMNS = (
    Column("KEY", lambda item, _: item.key, shrinks=True),
    Column("VERSION", lambda item, _: str(item.version), is_number=True),
    Column("BYTES", lambda item, _: str(len(item.value)), is_number=True),
    Column("LEASE", lambda item, _: item.lease or "-", shrinks=True),
    Column("VALUE", lambda item, _: brief(item.value), shrinks=True),
)
RECORD_COLUMNS = (
    Column("POSITION", lambda record, _: str(record.position), is_number=True),
    Column("BYTES", lambda record, _: str(len(record.content)), is_number=True),
    Column("RECORD", lambda record, _: brief(record.content), shrinks=True),
)
LEASE_COLUMNS = (
    Column("LEASE", lambda lease, _: lease.name, shrinks=True),
    Column("HOLDER", lambda lease, _: lease.holder, shrinks=True),
    Column("TOKEN", lambda lease, _: str(lease.token), is_number=True),
    Column("SECONDS", lambda lease, _: f"{lease.ttl_ns / 1e9:g}", is_number=True),
    Column("KEYS", lambda lease, _: str(lease.keys), is_number=True),
)
JOURNAL_COLUMNS = (
    Column("JOURNAL", lambda journal, _: journal.name, shrinks=True),
    Column("WRITER", lambda journal, _: journal.writer or "-", shrinks=True),
    Column("EPOCH", lambda journal, _: str(journal.epoch), is_number=True),
    Column("FIRST", lambda journal, _: str(journal.first), is_number=True),
    Column("NEXT", lambda journal, _: str(journal.next), is_number=True),
    Column("RECORDS", lambda journal, _: str(journal.records), is_number=True),
)
BRIEF_CHARS_MAX = 60


def print_items(items: Sequence[Item], output: str) -> None:
    """Print keys with what they hold."""
    if output == "table":
        _print_table(ITEM_COLUMNS, items)
    for item in items if output != "table" else ():
        if output == "json":
            print_line(
                json.dumps({"key": item.key, **plain_value(item.value), "version": item.version})
            )
        else:
            print_raw(item.value)


def print_records(records: Sequence[Record], output: str) -> None:
    """Print records in their order."""
    if output == "table":
        _print_table(RECORD_COLUMNS, records)
    for record in records if output != "table" else ():
        if output == "json":
            print_line(json.dumps({"position": record.position, **plain_value(record.content)}))
        else:
            print_raw(record.content)


def print_things(columns: Sequence[Column], things: Sequence[Any], output: str) -> None:
    """Print messages as a table, or each as a line of JSON."""
    if output == "table":
        _print_table(columns, things)
    for thing in things if output == "json" else ():
        print_line(json.dumps(dataclasses.asdict(thing)))


def plain_value(value: bytes) -> dict[str, object]:
    """Return a value as JSON can hold it."""
    try:
        return {"value": value.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def brief(value: bytes) -> str:
    """Return the beginning of a value, on one line; of bytes that are no text, their digits."""
    head = value[: 4 * BRIEF_CHARS_MAX]
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        is_cut = len(head) < len(value) and error.start > len(head) - 4
        text = head[: error.start].decode() if is_cut else head.hex()
    text = "".join(char if char.isprintable() else " " for char in text).rstrip()
    return text if len(text) <= BRIEF_CHARS_MAX else f"{text[: BRIEF_CHARS_MAX - 1]}…"


def print_line(line: str) -> None:
    """Print a line at once, for those who follow."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def print_raw(content: bytes) -> None:
    """Print bytes as they are, and a line's end."""
    sys.stdout.buffer.write(content + b"\n")
    sys.stdout.buffer.flush()


def _print_table(columns: Sequence[Column], things: Sequence[Any]) -> None:
    console = open_console()
    rows = [[column.cell(thing, 0) for column in columns] for thing in things]
    console.print(tabulate(columns, rows, console.width))
