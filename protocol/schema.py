"""The one loader of Cap'n Proto schemas, and what every codec does alike."""

import struct
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import capnp

from protocol.errors import BadFrame, TooLarge, UnknownMessage
from protocol.framing import SEGMENTS_MAX

# The folder that holds the packages, a checkout or site-packages: `import "/protocol/values.capnp"`
# works from both. Loading one file by two paths, or with another import list, aborts the process,
# so nobody else calls capnp.load and the import hook must never run.
ROOT = Path(__file__).resolve().parent.parent
IMPORTS = [str(ROOT)]

capnp.remove_import_hook()

T = TypeVar("T")
Arm = tuple[Any, Callable[[Any], T], int]  # its field, its reader, the words that this looks at
EnumT = TypeVar("EnumT", bound=IntEnum)

ALLOWED_WORDS_PER_WORD = 4  # room for structs to grow before lists of an old peer are refused
LOGGED_WORDS_MAX = 2**40  # what no log entry claims

_FIRST_SEGMENT_WORDS = 1024
_HEADER = struct.Struct("<II")
_FAULTS = (capnp.KjException, UnicodeDecodeError, RuntimeError, ValueError, OverflowError)


@cache
def load(path: str) -> Any:
    """Return the loaded schema of the file at `path`, relative to the folder of the packages."""
    file = ROOT / path
    if not file.is_file():  # the compiler would abort the process
        raise FileNotFoundError(f"schema {file} is missing")
    return capnp.load(str(file), imports=IMPORTS)


class _Allowance:
    """How many words of structs may still be read of the message at hand.

    A list may claim elements shorter than our structs, even of no length: a small frame would cost
    seconds. What honest peers send, even of older versions, has room for what its lists claim.
    """

    words = 0

    def take(self, words: int) -> None:
        self.words -= words
        if self.words < 0:
            raise TooLarge("lists that claim more than the message has room for")


_allowance = _Allowance()


class Members(dict[int, EnumT]):
    """The members of an enum by their number on the wire; one that we lack reads as the first."""

    def __init__(self, enum: type[EnumT]) -> None:
        super().__init__((member.value, member) for member in enum)

    def __missing__(self, number: int) -> EnumT:
        return self[0]


class KnownMembers(Members[EnumT]):
    """The same for a log, whose reader must stop at what it does not know."""

    def __missing__(self, number: int) -> EnumT:
        raise UnknownMessage(f"{type(self[0]).__name__} {number} is not known to this version")


def encode_root(
    root: Any, write: Callable[[T, Any], None], message: T, size_bytes: int = 0
) -> bytes:
    """Return `message` as one message in the standard stream format.

    A message of about `size_bytes` gets its room at once, as one segment.
    Raises: ValueError when a value does not fit its field.
    """
    words = max(size_bytes >> 3, _FIRST_SEGMENT_WORDS)
    builder = root.new_message(num_first_segment_words=words)
    try:
        write(message, builder)
    except (capnp.KjException, OverflowError) as error:
        raise ValueError(f"{type(message).__name__} cannot be encoded: {_brief(error)}") from None
    content: bytes = builder.to_bytes()
    return content


def decode_root(root: Any, read: Callable[[Any], T], content: bytes) -> T:
    """Return the message that `content`, one message in the standard stream format, holds.

    Raises: Malformed.
    """
    return decode_segments(root, read, split_segments(content))


def decode_logged(root: Any, read: Callable[[Any], T], content: bytes) -> T:
    """Return the message that `content`, written by this daemon to its log, holds.

    Its lists are believed: an old log must stay readable however much our structs grow since.
    Raises: Malformed.
    """
    return _decode(root, read, split_segments(content), LOGGED_WORDS_MAX)


def decode_segments(root: Any, read: Callable[[Any], T], segments: Sequence[bytes]) -> T:
    """Return the message that the segments hold.

    The reader's budget is proportional to the bytes received: a few bytes may claim millions of
    empty structs. Raises: Malformed.
    """
    words = sum(map(len, segments)) >> 3
    return _decode(root, read, segments, ALLOWED_WORDS_PER_WORD * words + 64)


def split_segments(content: bytes) -> list[bytes]:
    """Return the segments of one whole message in the standard stream format.

    Raises: BadFrame when the header and the length of `content` disagree, TooLarge over
    SEGMENTS_MAX segments.
    """
    if len(content) < 8:
        raise BadFrame("a message shorter than its header")
    last, words = _HEADER.unpack_from(content)
    if last == 0:  # one segment, the normal case
        if len(content) != 8 + 8 * words:
            raise BadFrame("a message not as long as its header says")
        return [content[8:]]
    if last >= SEGMENTS_MAX:
        raise TooLarge(f"a message of {last + 1} segments, at most {SEGMENTS_MAX} are allowed")
    start = (8 + 4 * last + 7) & ~7
    if len(content) < start:
        raise BadFrame("a message shorter than its header")
    segments = []
    for size in struct.unpack_from(f"<{last + 1}I", content, 4):
        segments.append(content[start : start + 8 * size])
        start += 8 * size
    if start != len(content):
        raise BadFrame("a message not as long as its header says")
    return segments


def read_arm(reader: Any, arms: Mapping[str, Arm[T]]) -> T:
    """Return the message in the arm that is set, by the reader registered for it.

    Raises: UnknownMessage when no arm is set, or one that this version lacks.
    """
    try:
        arm: str = reader._which_str()
    except capnp.KjException:
        raise UnknownMessage("an arm that this version does not know") from None
    if arm not in arms:
        raise UnknownMessage(f"a message whose arm is {arm}")
    field, read, words = arms[arm]
    _allowance.take(words)
    return read(reader._get_by_field(field))


def read_structs(items: Any, read: Callable[[Any], T], words: int) -> tuple[T, ...]:
    """Return the structs of a list, each of which takes `words` to read.

    Raises: TooLarge when the message has no room for so many.
    """
    _allowance.take(len(items) * words)
    return tuple([read(item) for item in items])


def write_values(builder: Any, field: Any, values: Sequence[object]) -> None:
    """Set a list field of texts, bytes or numbers."""
    items = builder._init_by_field(field, len(values))
    for position, value in enumerate(values):
        items[position] = value


def write_structs(
    builder: Any, field: Any, values: Sequence[T], write: Callable[[T, Any], None]
) -> None:
    """Set a list field of structs."""
    items = builder._init_by_field(field, len(values))
    for position, value in enumerate(values):
        write(value, items[position])


def _decode(
    root: Any, read: Callable[[Any], T], segments: Sequence[bytes], allowed_words: int
) -> T:
    if not segments:
        raise BadFrame("a message without segments")
    words = sum(map(len, segments)) >> 3
    _allowance.words = allowed_words
    try:
        return read(root.from_segments(segments, traversal_limit_in_words=2 * words + 64))
    except _FAULTS as error:
        raise BadFrame(_brief(error)) from None


def _brief(error: Exception) -> str:
    """Return the first line of an error: the rest of a KjException are addresses of code."""
    return str(error).partition("\n")[0][:200]
