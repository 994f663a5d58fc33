"""Snapshots: the durable part of the state as bytes, and its digest."""

from dataclasses import replace

import msgspec

from master.core import versions
from master.core.state import Soft, State
from master.core.validity import weigh_description
from rlog.spaces.digest import digest_of
from rlog.versions import VERSION_MAX, check_version

_decoder = msgspec.msgpack.Decoder(State)


def dump(state: State) -> bytes:
    """Return the durable part of the state, after its log's version.

    An older program drops fields that it lacks: they have their defaults, or the version is newer.
    """
    return bytes((state.version,)) + msgspec.msgpack.encode(replace(state, soft=Soft()))


def load(content: bytes) -> State:
    """Return the state that `dump` wrote.

    Raises: NewerLog; ValueError for what is no snapshot.
    """
    if not 0 < int.from_bytes(content[:1]) <= VERSION_MAX:
        raise ValueError(f"it begins with {content[:1].hex() or 'nothing'}")
    check_version(content[0], versions.VERSION, "a snapshot")
    state = _decoder.decode(memoryview(content)[1:])
    _count_tasks(state)
    return state


def _count_tasks(state: State) -> None:
    """Count anew what is a sum over tasks: an older snapshot has no such counts."""
    for framework in state.frameworks.values():
        framework.live = framework.description_bytes = 0
    for task in state.tasks.values():
        framework = state.frameworks[task.framework_id]
        framework.live += not task.is_ended
        framework.description_bytes += weigh_description(task.description)


def digest(state: State) -> str:
    """Return a name that two states share if and only if their durable parts are equal."""
    return digest_of(replace(state, soft=Soft()))
