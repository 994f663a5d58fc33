"""The two headers of an LMDB file, which carry no checksum, held against what they lead to.

LMDB writes them in turn and begins with the newer one. One that was damaged would make it go back
to the other, and so forget silently what was promised last. Each transaction of ours therefore
writes its number into a row, under a checksum: a header that leads to another one is damaged.
"""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

from protocol.errors import DamagedLog
from rlog.rows import unpack_written

TRIES_MAX = 10  # while another process writes, the two may be read at two moments
DEPTH_MAX = 32  # of a tree; damaged pages may lead in a circle
_META = struct.Struct("<16x I 108x Q Q Q")  # of a header: its magic, root, last page, transaction
_PAGE = struct.Struct("<10x H H 2x")  # flags, end of the list of places of nodes
_NODE = struct.Struct("<H H H H")  # low and high part of a number, flags, length of the key
_DATABASE = struct.Struct("<40x Q")  # its root
_MAGIC = 0xBEEFC0DE
_BRANCH, _LEAF = 0x01, 0x02


def check_headers(path: str) -> str:
    """See that the headers are of the newest two transactions; return what is wrong."""
    found = ""
    for _ in range(TRIES_MAX):
        found = _find(path)
        if not found:
            break
    return found


def _find(path: str) -> str:
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    transactions = []
    with open(path, "rb") as file:
        content = file.read(2 * page_bytes)
        if len(content) < 2 * page_bytes:
            return "it is cut short within its headers"
        for number in (0, 1):
            magic, root, _, transaction = _META.unpack_from(content, number * page_bytes)
            if magic != _MAGIC or (transaction and transaction % 2 != number):
                return f"its header {number} is damaged"
            if _read_written(file, page_bytes, root) not in (0, transaction):
                return f"its header {number} is damaged: it is not of what it leads to"
            transactions.append(transaction)
    if abs(transactions[0] - transactions[1]) > 1:
        return "its headers are not of one transaction after the other"
    return ""


def _read_written(file: BinaryIO, page_bytes: int, root: int) -> int:
    """Return which transaction wrote what a header leads to; 0: it does not tell.

    What the older header leads to may be overwritten in part. Damage is for others to find.
    """
    try:
        database = _look_up(file, page_bytes, root, b"meta")
        row = _look_up(file, page_bytes, _DATABASE.unpack_from(database)[0], b"written")
        return unpack_written(row)
    except (LookupError, struct.error, ValueError, OverflowError, DamagedLog):
        return 0


def _look_up(file: BinaryIO, page_bytes: int, root: int, key: bytes) -> bytes:
    """Return what a tree holds under a key. Raises: LookupError, struct.error."""
    for _ in range(DEPTH_MAX):
        file.seek(root * page_bytes)
        page = file.read(page_bytes)
        flags, _ = _PAGE.unpack_from(page)
        nodes = list(_nodes(page))
        if flags & _LEAF:
            return {found: value for found, value, _ in nodes}[key]
        if not flags & _BRANCH or not nodes:
            break
        # The first key of a branch stands for all that come before the second.
        below = [number for found, _, number in nodes[1:] if found <= key]
        root = below[-1] if below else nodes[0][2]
    raise LookupError(key)


def _nodes(page: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield the keys of a page with what a leaf holds there, and where a branch leads."""
    _, lower = _PAGE.unpack_from(page)
    for place in range(_PAGE.size, lower, 2):
        (at,) = struct.unpack_from("<H", page, place)
        low, high, flags, length = _NODE.unpack_from(page, at)
        begin = at + _NODE.size + length
        key = page[at + _NODE.size : begin]
        yield key, page[begin : begin + (low | high << 16)], low | high << 16 | flags << 32
