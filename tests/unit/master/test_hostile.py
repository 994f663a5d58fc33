"""Whatever comes over links: the master answers or drops the peer, and its state stays sound."""

import asyncio
import contextlib
import random
import types
import typing
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from enum import IntEnum
from typing import Any

import pytest

from master.core.absence import view_guard
from master.core.explaining import explain
from master.core.invariants import check
from master.core.leadership import Tick
from master.core.settings import Settings
from master.core.snapshot import digest
from master.handlers import AgentReceiver, FrameworkReceiver
from master.operator import Answers, OperatorReceiver
from master.perform import Performer
from master.probes import SilentMasterProbe
from master.registrar import Registrar
from master.sessions import Sessions
from protocol.codecs.agent import encode_agent_message
from protocol.codecs.framework import encode_framework_message
from protocol.codecs.operator import encode_operator_message
from protocol.credentials import Credentials
from protocol.errors import Malformed
from protocol.handshake import LinkIdentity
from protocol.messages.agent import AgentMessage, RegisterAgent, StatusUpdates
from protocol.messages.framework import (
    Accept,
    FrameworkMessage,
    Keep,
    Kept,
    LaunchTask,
    Leave,
    Subscribe,
    Suppress,
    Teardown,
)
from protocol.messages.link import LinkRole
from protocol.messages.operator import OperatorMessage, RemoveFramework
from protocol.resources import Resources, parse_resources
from rlog.config import LogConfig
from rlog.copying import LogCopier
from rlog.loop import Loop
from rlog.operators import LogDesk
from rlog.replica import ReplicatedLog
from rlog.requests import SpaceReceiver
from rlog.spaces.messages import SpaceRequest
from rlog.spaces_codec import encode_space_request
from tests.unit.master.links import RecordedLink
from tests.unit.rlog.memory_log import MemoryLog

SECOND_NS = 1_000_000_000
NUMBERS = (0, 0, 1, 1, 2, 3, -1, 5_000_000_000, 2**31, 2**53, 2**63 - 1, -(2**63))
TEXTS = (
    "",
    "a1",
    "fw-1",
    "fw-1/t1",
    "t1",
    "t2",
    "web",
    "cpus",
    "mem",
    "..",
    "a/b",
    "x" * 3000,
    "é",
)
SIZES = (0, 1, 1, 1, 2, 5)
LIKELY = {
    "agent_id": ("a1",),
    "framework_id": ("fw-1",),
    "task_id": ("t1", "t2", "t3"),
    "tasks": ("t1", "t2", "t3"),
    "roles": ("web",),
    "role": ("web",),
    "name": ("web",),
    "token": ("t",),
    "command": ("true",),
    "value": ("v",),
    "filename": ("f",),
    "user": ("u",),
}
RARE = (Teardown, Leave, RemoveFramework, Suppress)
FREQUENT = (Accept, LaunchTask, StatusUpdates)
AMOUNTS = ("cpus:0.1;mem:32MiB", "cpus:0.1;mem:32MiB;ports:[31000-31001]", "cpus:64;mem:1TiB")


class Imagination:
    """Makes up messages of a schema; most values are what the field's name asks for."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.offers: Sequence[str] = ()

    def message(self, union: Any) -> Any:
        kinds = [kind for kind in typing.get_args(union) if kind not in RARE or self.chance(0.05)]
        kinds += [kind for kind in kinds if kind in FREQUENT] * 4
        return self.value(self.rng.choice(kinds), "")

    def value(self, kind: Any, name: str) -> Any:
        if kind is Resources:
            return self._resources()
        if is_dataclass(kind):
            assert isinstance(kind, type)
            hints = typing.get_type_hints(kind)
            values = {each.name: self.value(hints[each.name], each.name) for each in fields(kind)}
            made: Any = kind
            return made(**values)
        if typing.get_origin(kind) is tuple:
            inner = typing.get_args(kind)[0]
            if name == "offers" and inner is str and self.chance(0.9):
                return tuple(self.offers[:1])
            return tuple(self.value(inner, name) for _ in range(self.rng.choice(SIZES)))
        if isinstance(kind, types.UnionType):
            return self.message(kind)
        if isinstance(kind, type) and issubclass(kind, IntEnum):
            return self.rng.choice(list(kind))
        return self._simple(kind, name)

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def _simple(self, kind: type, name: str) -> Any:
        if kind is str:
            fitting = {**LIKELY, "offers": tuple(self.offers)}.get(name)
            return self.rng.choice(fitting if fitting and self.chance(0.9) else TEXTS)
        if kind is int:
            return self.rng.choice((0, 1, 2, 3) if self.chance(0.9) else NUMBERS)
        return self.chance(0.5) if kind is bool else self.rng.randbytes(8)

    def _resources(self) -> Resources:
        if self.chance(0.9):
            return parse_resources(self.rng.choice(AMOUNTS))
        name = self.rng.choice(TEXTS)
        return Resources({name: self.rng.choice(NUMBERS)}, {name: ((5, 1), (0, 2**60))}, {})


class FaultCounter(SilentMasterProbe):
    """Remembers where our own code failed."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def faulted(self, stage: str) -> None:
        self.stages.append(stage)


def closed_log() -> ReplicatedLog:
    """Return a log that was not started: it has nothing to copy."""
    identity = LinkIdentity(LinkRole.REPLICA, "m1:7000", "", Credentials.insecure())
    return ReplicatedLog(LogConfig("m1:7000", ("m1:7000",), ""), identity, random.Random(1))


class Victim:
    """A leading master's shell over a log in memory."""

    def __init__(self) -> None:
        self.probe = FaultCounter()
        self.log = MemoryLog()
        self.now_ns = 1_000 * SECOND_NS
        sessions = Sessions()
        performer = Performer(sessions, self.probe)
        self.registrar = Registrar(Settings())
        self.loop = Loop(
            self.registrar, self.log, performer.perform, lambda: self.now_ns, self.probe
        )
        self.loop.on_lead = performer.begin
        submit = self.loop.submit
        self.agents = AgentReceiver(submit, sessions, performer, self.probe)
        spaces = SpaceReceiver(
            submit,
            self.loop.query,
            lambda link, content: performer.say(link, Kept(content)),
            2_000,
        )
        self.frameworks = FrameworkReceiver(submit, sessions, performer, spaces, self.probe)
        copier = LogCopier(closed_log(), "c", lambda: self.now_ns)
        self.operators = OperatorReceiver(
            submit,
            self.loop.query,
            LogDesk(lambda: (), lambda verb, name, done: done(None), copier),
            Answers(
                lambda state, asked: explain(Settings(), state, asked, self.now_ns),
                self.registrar.foresee,
                lambda state: view_guard(state, Settings(), self.now_ns),
            ),
            self.probe,
        )
        self.agent, self.framework = RecordedLink("a1"), RecordedLink("web")
        self.operator = RecordedLink("me")

    async def start(self) -> None:
        await self.loop.start()
        self.log.gain()
        await self.settle()
        self.agents.connected(self.agent)
        self.frameworks.connected(self.framework)
        agent = RegisterAgent(
            "a1", resources=parse_resources("cpus:4;mem:8GiB;ports:[31000-31999]")
        )
        self.hear(self.agents, self.agent, encode_agent_message(agent))
        subscription = Subscribe(1, token="t", name="web", roles=("web",), user="u")
        self.hear(self.frameworks, self.framework, encode_framework_message(subscription))
        await self.settle()

    def hear(self, receiver: Any, link: RecordedLink, payload: bytes) -> None:
        with contextlib.suppress(Malformed):
            receiver.received(link, payload, 0)

    async def settle(self) -> None:
        """Let every turn that is due pass, and commit what it appended."""
        self.loop.submit(Tick())  # rather than wait for the timer
        for _ in range(6):
            await asyncio.sleep(0)
            self.log.commit()
            self.log.prove()

    def offers(self) -> Sequence[str]:
        """Return the ids of the newest offers."""
        return list(self.loop.state.soft.offers)[-3:]


def encode_keep(request: SpaceRequest) -> bytes:
    return encode_framework_message(Keep(encode_space_request(request)))


async def torment(seed: int) -> Victim:
    """Say forty made-up things to a master that has an agent and a framework."""
    victim = Victim()
    await victim.start()
    imagination = Imagination(random.Random(seed))
    doors = (
        (victim.agents, victim.agent, AgentMessage, encode_agent_message),
        (victim.frameworks, victim.framework, FrameworkMessage, encode_framework_message),
        (victim.frameworks, victim.framework, FrameworkMessage, encode_framework_message),
        (victim.frameworks, victim.framework, SpaceRequest, encode_keep),
        (victim.operators, victim.operator, OperatorMessage, encode_operator_message),
    )
    for _ in range(40):
        receiver, link, union, encode = imagination.rng.choice(doors)
        try:
            payload = encode(imagination.message(union))
        except (ValueError, OverflowError):
            continue  # no such bytes can be sent
        victim.hear(receiver, link, payload)
        victim.now_ns += imagination.rng.choice((0, SECOND_NS // 100, SECOND_NS, 20 * SECOND_NS))
        await victim.settle()
        imagination.offers = victim.offers()
        check(victim.loop.state)
    return victim


@pytest.mark.parametrize("seed", range(30))
def test_master_stays_sound_whatever_it_hears(seed: int) -> None:
    victim = asyncio.run(torment(seed))
    assert victim.probe.stages == []
    assert victim.loop.is_serving


@pytest.mark.parametrize("seed", range(5))
def test_replica_of_a_tormented_master_knows_the_same(seed: int) -> None:
    victim = asyncio.run(torment(seed))
    state = victim.registrar.empty()
    for entry in victim.log.entries:
        if entry.payload:
            state.now_ns, events = victim.registrar.decode(entry.payload)
            for event in events:
                victim.registrar.apply(state, event)
    assert digest(state) == digest(victim.loop.state)
