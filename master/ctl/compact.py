"""`quorate log compact`: short logs while masters work, small files while they do not."""

import os
import sys

from master.ctl.asking import ask_every_master, identify, run
from master.ctl.progress import progress
from master.ctl.replay import Replay, open_masters_log
from master.ctl.tables import size
from master.ctl.target import CommandError, Target
from protocol.client import OperatorClient
from protocol.messages.operator import CompactLog, Failed, LogCompacted, MasterView
from rlog.compaction import compact, rewrite
from rlog.directory import DATA, LogDirectory

CONNECT_S_MAX = 10.0
ANSWER_S_MAX = 610.0  # longer than a master waits for its own snapshot


def compact_masters(target: Target, address: str) -> None:
    """Let a master, or one after the other, drop what a new snapshot covers.

    Raises: CommandError when one could not.
    """
    run(_compact_masters(target, address))


async def _compact_masters(target: Target, address: str) -> None:
    views = [view for view in await ask_every_master(target) if view.is_reachable]
    chosen = [view for view in views if address in ("", view.address)]
    if not chosen:
        raise CommandError(f"no master answers at {address}" if address else "no master answers")
    failed = []
    with progress("masters", 1, len(chosen)) as advance:
        # The leader comes last: it has the most to do, and may need its entries for the others.
        for done, view in enumerate(sorted(chosen, key=lambda view: view.role == "leader"), 1):
            answer = await _ask(target, view)
            if isinstance(answer, LogCompacted):
                sys.stdout.write(_describe(view.address, answer))
            else:
                sys.stdout.write(f"{view.address}: {answer}\n")
                failed.append(view.address)
            advance(done)
    if failed:
        raise CommandError(f"not compacted: {', '.join(failed)}")


async def _ask(target: Target, view: MasterView) -> LogCompacted | str:
    client = await OperatorClient.connect_agent(view.address, identify(target), CONNECT_S_MAX)
    try:
        answer = await client.ask(CompactLog(), ANSWER_S_MAX)
    finally:
        await client.close()
    if isinstance(answer, Failed):
        return answer.text or answer.reason
    return answer if isinstance(answer, LogCompacted) else f"answered {type(answer).__name__}"


def _describe(address: str, answer: LogCompacted) -> str:
    return (
        f"{address}: snapshot at {answer.index} of {size(answer.size_bytes)}; "
        f"{answer.dropped} entries dropped, {answer.kept} kept; "
        f"the file keeps its {size(answer.used_bytes)} for what comes "
        "(--data-dir of a stopped master gives them back)\n"
    )


def compact_directory(directory: str) -> None:
    """Make the data file of a stopped master as small as its content.

    Raises: Fault, CommandError, OSError; the file is as it was, or compacted, at any moment.
    """
    LogDirectory(directory).release()
    path = os.path.join(directory, DATA)
    with open_masters_log(directory) as archive:
        outline = archive.outline
        index, before = outline.position.committed, os.stat(path).st_size
        with progress("entries", outline.snapshot.index + 1, index) as advance:
            replayed = Replay.of_archive(archive)
            replayed.run(archive.payloads(index), advance)
    content = replayed.dump()
    with progress("steps", 1, 2) as advance:
        dropped = compact(directory, outline, content)
        advance(1)
        rewrite(directory)
        advance(2)
    after = os.stat(path).st_size
    sys.stdout.write(
        f"{directory}: {size(before)} before, {size(after)} after; snapshot at {index} of "
        f"{size(len(content))}, {dropped} entries dropped, {outline.last - index} kept\n"
    )
