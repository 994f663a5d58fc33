"""`quorate log status`: how each replica of the masters' log is."""

import json
import sys
from collections.abc import Sequence

from master.ctl.asking import ask_every_master, run
from master.ctl.objects import plain_master
from master.ctl.tables import STYLES, role_of, size
from master.ctl.target import CommandError, Target
from protocol.messages.operator import MasterView
from protocol.tables import Column, open_console, tabulate


def show_status(target: Target, form: str) -> None:
    """Print a row per replica. Raises: CommandError when no master leads."""
    views = run(ask_every_master(target))
    committed = max((view.committed for view in views), default=0)
    if form == "json":
        found = [plain_master(view) | plain_log(view, committed) for view in views]
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        console = open_console()
        columns = _columns(committed)
        rows = [[column.cell(view, 0) for column in columns] for view in views]
        console.print(tabulate(columns, rows, console.width, STYLES))
    _judge(views)


def plain_log(view: MasterView, committed: int) -> dict[str, object]:
    """Return what a replica says of its log, as JSON values."""
    return {
        "last": view.last,
        "lag": max(0, committed - view.applied) if view.is_reachable else None,
        "fsync_ns": view.fsync_ns,
        "used_bytes": view.used_bytes,
        "free_bytes": view.free_bytes,
        "snapshot_index": view.snapshot_index,
        "snapshot_bytes": view.snapshot_bytes,
    }


def _judge(views: Sequence[MasterView]) -> None:
    if not any(view.role == "leader" for view in views):
        raise CommandError("no master leads: more than half of the masters must be reachable")


def _columns(committed: int) -> tuple[Column, ...]:
    def number(view: MasterView, value: int) -> str:
        return str(value) if view.is_reachable else "-"

    return (
        Column("MASTER", lambda v, _: v.address, shrinks=True),
        Column("ROLE", lambda v, _: role_of(v)),
        Column("TERM", lambda v, _: number(v, v.term), is_number=True),
        Column("LAST", lambda v, _: number(v, v.last), is_number=True),
        Column("LAG", lambda v, _: number(v, max(0, committed - v.applied)), is_number=True),
        Column("SNAPSHOT", lambda v, _: number(v, v.snapshot_index), is_number=True),
        Column("FSYNC", lambda v, _: _milliseconds(v), is_number=True),
        Column("FILE", lambda v, _: size(v.used_bytes), is_number=True),
        Column("FREE", lambda v, _: size(v.free_bytes), is_number=True),
    )


def _milliseconds(view: MasterView) -> str:
    return f"{view.fsync_ns / 1e6:.1f}ms" if view.fsync_ns else "-"
