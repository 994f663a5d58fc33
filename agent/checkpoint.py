"""Checkpoint: the agent's core joined with its codec, for the loop over the local log."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import msgspec

from agent.codec import decode_checkpoint_batch, encode_checkpoint_batch
from agent.core import deadlines, machine
from agent.core.effects import Effect
from agent.core.events import CheckpointBatch, CheckpointEvent
from agent.core.machine import Command
from agent.core.state import State
from agent.core.updates import Outcome, TakeOver, Tick, Told
from protocol.errors import CorruptLog
from rlog.loop import Loop

DUMP_VERSION = 1

CheckpointLoop: TypeAlias = Loop[State, Command, CheckpointEvent, Effect, Told]


class Checkpoint:
    """The machine that the agent's loop drives."""

    def __init__(self, kill_grace_ns: int = 0) -> None:
        """`kill_grace_ns` is for tasks whose time is over and that named no grace."""
        self._kill_grace_ns = kill_grace_ns

    def empty(self) -> State:
        return State()

    def decide(self, state: State, command: Command, now_ns: int) -> Outcome:
        return machine.decide(state, command, now_ns)

    def apply(self, state: State, event: CheckpointEvent) -> None:
        machine.apply(state, event)

    def apply_soft(self, state: State, event: object) -> None:
        machine.apply_soft(state, event)

    def drop_soft(self, state: State) -> None:
        machine.drop_soft(state)

    def take_over(self, term: int, address: str) -> Command:
        return TakeOver()

    def tick(self) -> Command:
        return Tick(self._kill_grace_ns)

    def due(self, state: State) -> int | None:
        return deadlines.due(state)

    def encode(self, stamp_ns: int, events: Sequence[CheckpointEvent]) -> bytes:
        return encode_checkpoint_batch(CheckpointBatch(stamp_ns, tuple(events)))

    def decode(self, content: bytes) -> tuple[int, Sequence[CheckpointEvent]]:
        batch = decode_checkpoint_batch(content)
        return batch.stamp_ns, batch.events

    def dump(self, state: State) -> bytes:
        return bytes([DUMP_VERSION]) + msgspec.msgpack.encode(replace(state, retry_ns=0))

    def load(self, content: bytes) -> State:
        if content[:1] != bytes([DUMP_VERSION]):
            raise CorruptLog(f"snapshot version {content[:1].hex()} is not {DUMP_VERSION}")
        try:
            return msgspec.msgpack.decode(content[1:], type=State)
        except (msgspec.DecodeError, ValueError) as error:
            raise CorruptLog(f"the snapshot cannot be read: {error}") from error
