"""A name for the content of a state, whatever machine it is of."""

import hashlib
from typing import Any

import msgspec

_encoder = msgspec.msgpack.Encoder(order="deterministic")


def digest_of(state: Any) -> str:
    """Return a name that two states share if and only if they are equal.

    Dictionaries count by what they hold: their order differs between who folded and who loaded.
    """
    plain = msgspec.to_builtins(state, str_keys=True, builtin_types=(bytes,))
    return hashlib.sha256(_encoder.encode(plain)).hexdigest()
