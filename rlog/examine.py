"""A look through a whole directory before it is opened, by a child that may crash on what it finds.

LMDB trusts its pages: a damaged or truncated file can end the process that reads it. Here that is
a child's end, and a line for the operator.
"""

import faulthandler
import os
import signal
from collections.abc import Callable
from typing import NoReturn

from protocol.errors import Broken, CorruptLog, DamagedLog
from rlog.archive import Finding, open_archive
from rlog.headers import check_headers

EXAMINE_S_MAX = 300  # damaged pages may lead in a circle; reading takes about a second per GiB
TEXT_BYTES_MAX = 2000
CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT)  # of who reads damaged pages

Say = Callable[[str], None]


def examine(directory: str) -> None:
    """Read all that lies in a directory, if anything does.

    Raises: DamagedLog, naming file and place; CorruptLog when it may be whole and is of no use.
    """
    path = os.path.join(directory, "data.mdb")
    if not os.path.isfile(path):
        return
    said, status = ask_child(lambda say: _find(directory, say))
    found = "".join(said)
    if status == -signal.SIGALRM:
        raise CorruptLog(f"{path}: it cannot be read within {EXAMINE_S_MAX} s")
    if -status in CRASHES:
        name = signal.Signals(-status).name
        raise DamagedLog(f"{path}: its pages are damaged: reading them ends in {name}")
    if found.startswith("!"):
        raise DamagedLog(f"{path}: {found[1:]}")
    if found or status:
        raise CorruptLog(f"{path}: {found or 'it cannot be read'}")


def ask_child(work: Callable[[Say], None]) -> tuple[list[str], int]:
    """Let a child do work that may crash; return the lines it said, and how it ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _be_child(work, writing)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read().decode(errors="replace").splitlines()
    return said, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _be_child(work: Callable[[Say], None], pipe: int) -> NoReturn:
    status = 1
    try:
        faulthandler.disable()  # a crash in here is an answer
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(EXAMINE_S_MAX)
        work(lambda line: _write(pipe, line))
        status = 0
    finally:
        os._exit(status)


def _write(pipe: int, line: str) -> None:
    os.write(pipe, line.replace("\n", " ").encode()[:TEXT_BYTES_MAX] + b"\n")


def _find(directory: str, say: Say) -> None:
    """Say the first thing that is wrong, if any is; behind a mark when it is damage for sure."""
    try:
        if (found := check_headers(os.path.join(directory, "data.mdb"))) != "":
            say(f"!{found}")
            return
        with open_archive(directory) as archive:
            finding = next(archive.check(), Finding(""))
            say(f"!{finding}" if finding.text and finding.is_damage else str(finding))
    except DamagedLog as error:
        say("!" + str(error).removeprefix(f"{directory}: "))
    except Broken as error:
        say(str(error).removeprefix(f"{directory}: "))
    except Exception as error:
        say(f"it cannot be read: {error!r}")
