"""`quorate log verify|export`: what lies in a master's data directory, masters up or down."""

import json
import os
import sys
from itertools import islice
from typing import IO, Any

from master.ctl.kinds import kind_of_archive
from master.ctl.logged import lines_of
from master.ctl.plain import plain
from master.ctl.progress import progress
from master.ctl.replay import Replay, open_masters_log
from master.ctl.target import CommandError
from protocol.errors import Fault, NewerLog
from rlog.archive import FINDINGS_MAX, Archive, Outline, open_archive
from rlog.directory import DATA
from rlog.headers import check_headers
from rlog.store import require_log

REMEDY = (
    "this copy must not serve: stop its master, move the directory away and start the master with "
    "an empty one while the others run; it is filled from the leader"
)

UNREADABLE = 3  # exit status of the child that reads: the log is newer than this program


def verify(directory: str) -> None:
    """Read everything, say what is wrong and what to do.

    A file can be so damaged that reading it crashes; a process of its own takes the blow.
    Raises: CommandError when anything is wrong; Broken when there is no log.
    """
    require_log(directory)
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os._exit(_verify_here(directory))
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        raise CommandError(f"{directory}: reading it crashes (signal {number}); {REMEDY}")
    code = os.waitstatus_to_exitcode(status)
    if code == UNREADABLE:
        raise CommandError(f"{directory}: every checksum is right, but its state was not read")
    if code != 0:
        raise CommandError(f"{directory}: {REMEDY}")


def _verify_here(directory: str) -> int:
    try:
        return _count_findings(directory)
    except NewerLog as error:
        print(f"{directory}: {error}", flush=True)  # noqa: T201 – the finding
        return UNREADABLE
    except (Fault, OSError) as error:
        print(error, flush=True)  # noqa: T201 – the finding
        return 1
    except BaseException as error:
        print(f"{directory}: reading it failed: {error!r}", flush=True)  # noqa: T201
        return 1


def _count_findings(directory: str) -> int:
    findings = 0
    if found := check_headers(os.path.join(directory, DATA)):
        print(f"{directory}: {found}")  # noqa: T201 – the finding
        return 1
    with open_archive(directory) as archive:
        outline = archive.outline
        with progress("entries", outline.first, outline.last) as advance:
            for finding in islice(archive.check(advance), FINDINGS_MAX):
                print(f"{directory}: {finding}")  # noqa: T201 – the finding
                findings += 1
        what = "not folded: it is no master's"
        if not findings and outline.is_replicated:
            with progress("states", outline.snapshot.index + 1, archive.committed) as on:
                replayed = Replay.of_archive(archive)
                replayed.run(archive.payloads(archive.committed), on)
            replayed.kind.check(replayed.state)
            digest = replayed.kind.digest(replayed.state)
            what = f"state {digest[:12]} at entry {archive.committed}"
        print(f"{_describe(outline)}; {what}; {findings or 'no'} findings", flush=True)  # noqa: T201
    return min(findings, 1)


def _describe(outline: Outline) -> str:
    identity, snapshot = outline.identity, outline.snapshot
    parts = [
        f"{identity.name} of cluster {identity.cluster!r}",
        f"{outline.entries} entries to {outline.last} (term {outline.position.term})",
        f"snapshot at {snapshot.index} of {snapshot.size} bytes"
        if snapshot.index
        else "no snapshot",
    ]
    return "; ".join(parts)


def export(directory: str, first: int, last: int, output: str, *, is_with_state: bool) -> None:
    """Write the log as JSON lines, one an event.

    Raises: CommandError, Fault, OSError.
    """
    with open_masters_log(directory) as archive:
        outline, kind = archive.outline, kind_of_archive(archive)
        first, last = max(first, outline.first), min(last or outline.last, outline.last)
        sink = sys.stdout if output == "-" else open(output, "w", encoding="utf-8")  # noqa: SIM115
        try:
            write_line(sink, _plain_snapshot(archive, is_with_state=is_with_state))
            with progress("entries", first, last) as advance:
                for entry in archive.entries(first, last):
                    for line in lines_of(entry, archive.committed, kind):
                        write_line(sink, line)
                    advance(entry.index)
            sink.flush()
        finally:
            if sink is not sys.stdout:
                sink.close()


def write_line(sink: IO[str], line: dict[str, Any]) -> None:
    sink.write(json.dumps(line, separators=(",", ":"), ensure_ascii=False))
    sink.write("\n")


def _plain_snapshot(archive: Archive, *, is_with_state: bool) -> dict[str, Any]:
    outline = archive.outline
    snapshot = outline.snapshot
    line: dict[str, Any] = {
        "kind": "snapshot",
        "index": snapshot.index,
        "term": snapshot.term,
        "size_bytes": snapshot.size,
        "voters": list(snapshot.voters or outline.founded),
        "name": outline.identity.name,
        "cluster": outline.identity.cluster,
    }
    if is_with_state and snapshot.index:
        replayed = Replay.of_archive(archive)
        names = replayed.kind.durable
        line["state"] = {name: plain(getattr(replayed.state, name)) for name in names}
    return line
