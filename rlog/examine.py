"""A look through a whole directory before it is opened, by a child that may crash on what it finds.

LMDB trusts its pages: a damaged or truncated file can end the process that reads it. Here that is
a child's end, and a line for the operator.
"""

import faulthandler
import os
import signal
import struct
from typing import NoReturn

from protocol.errors import Broken, CorruptLog
from rlog.archive import open_archive
from rlog.directory import how_to_repair

EXAMINE_S_MAX = 300  # damaged pages may lead in a circle; reading takes about a second per GiB
TEXT_BYTES_MAX = 2000
_META = struct.Struct("<16x I 116x Q Q")  # of a header page: its magic, last page, transaction
_MAGIC = 0xBEEFC0DE


def examine(directory: str) -> None:
    """Read all that lies in a directory, if anything does.

    Raises: CorruptLog, naming file and place, and saying what repairs it; Broken.
    """
    path = os.path.join(directory, "data.mdb")
    if not os.path.isfile(path):
        return
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _be_child(directory, writing)
    os.close(writing)
    with open(reading, "rb") as pipe:
        found = pipe.read().decode(errors="replace")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == -signal.SIGALRM:
        found = f"it cannot be read within {EXAMINE_S_MAX} s"
    elif status < 0:
        found = f"its pages are damaged: reading them ends in {signal.Signals(-status).name}"
    if found or status:
        raise CorruptLog(f"{path}: {found or 'it cannot be read'}; {how_to_repair(directory)}")


def _be_child(directory: str, pipe: int) -> NoReturn:
    status = 1
    try:
        faulthandler.disable()  # a crash in here is an answer
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(EXAMINE_S_MAX)
        found = _find(directory)
        os.write(pipe, found.encode()[:TEXT_BYTES_MAX])
        status = 0
    finally:
        os._exit(status)


def _find(directory: str) -> str:
    """Return the first thing that is wrong, empty when nothing is."""
    try:
        if (found := _check_headers(os.path.join(directory, "data.mdb"))) != "":
            return found
        with open_archive(directory) as archive:
            return next(archive.check(), "")
    except Broken as error:
        return str(error).removeprefix(f"{directory}: ")
    except Exception as error:
        return f"it cannot be read: {error!r}"


def _check_headers(path: str) -> str:
    """See that the two headers are of the newest two transactions.

    They carry no checksum. One that was damaged would make LMDB go back to the other, and so
    forget silently what was promised last.
    """
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    with open(path, "rb") as file:
        content = file.read(2 * page_bytes)
    if len(content) < 2 * page_bytes:
        return "it is cut short within its headers"
    transactions = []
    for number in (0, 1):
        magic, _, transaction = _META.unpack_from(content, number * page_bytes)
        if magic != _MAGIC:
            return f"its header {number} is damaged"
        if transaction and transaction % 2 != number:
            return f"its header {number} is damaged"
        transactions.append(transaction)
    if abs(transactions[0] - transactions[1]) > 1:
        return "its headers are not of one transaction after the other"
    return ""
