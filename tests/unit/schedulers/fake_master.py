"""A master in this process that leads, keeps what a scheduler says, and says what a test wants."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from protocol.codecs.framework import decode_framework_message, encode_framework_message
from protocol.credentials import Credentials
from protocol.messages.framework import (
    Accept,
    Acknowledge,
    AcknowledgeOperations,
    CallDone,
    FrameworkMessage,
    LaunchTask,
    Offer,
    Offers,
    OperationUpdates,
    Reconcile,
    ReconcileOperations,
    Reserve,
    Subscribe,
    Subscribed,
    Updates,
)
from protocol.messages.link import Leader, LinkRole
from protocol.messages.values import OperationState, OperationStatus, TaskState, TaskStatus
from protocol.peer import Peer
from protocol.resources import parse_resources
from protocol.server import Server, ServerConfig

MessageT = TypeVar("MessageT")


class FakeMaster:
    """Answers every call at once, except as `refusals` and `deaf_to` say."""

    def __init__(self, credentials: Credentials | None = None) -> None:
        self.heard: list[FrameworkMessage] = []
        self.known: dict[str, TaskStatus] = {}  # tasks, as if replicated
        self.operations: dict[str, OperationStatus] = {}
        self.refusals: dict[type, tuple[str, str]] = {}  # each is said once
        self.deaf_to: set[type] = set()  # neither acted on nor answered
        self.mute_on: set[type] = set()  # acted on, not answered
        self.address = ""
        self._credentials = credentials or Credentials.insecure()
        self._epoch = 1
        self._peer: Peer | None = None
        self._server: Server | None = None
        self._news = asyncio.Event()
        self._offers = 0

    async def start(self) -> None:
        config = ServerConfig(
            "master", "test", self._credentials, is_insecure=self._credentials.is_insecure
        )
        self._server = Server(config, {LinkRole.FRAMEWORK: self})
        port = await self._server.start("127.0.0.1", 0)
        self.address = f"127.0.0.1:{port}"
        self.lead()

    async def stop(self) -> None:
        assert self._server is not None
        await self._server.stop()

    def lead(self) -> None:
        assert self._server is not None
        self._server.announce_leader(Leader(self.address, self._epoch, True))

    def cease(self) -> None:
        """Lose leadership; `lead` gains it again, under the next epoch."""
        assert self._server is not None
        self._epoch += 1
        self._server.announce_leader(Leader("", self._epoch, False))

    def cut(self) -> None:
        """Break the scheduler's link."""
        assert self._peer is not None
        self._peer.drop("cut by the test")

    def say(self, message: FrameworkMessage) -> None:
        assert self._peer is not None
        self._peer.send(encode_framework_message(message), self._epoch)

    def offer(self, resources: str = "cpus:2;mem:1GiB", agent: str = "a1") -> Offer:
        self._offers += 1
        offer = Offer(
            offer_id=f"o{self._epoch}-{self._offers}",
            agent_id=agent,
            hostname=agent,
            address="127.0.0.1:1",
            role="default",
            resources=parse_resources(resources),
        )
        self.say(Offers((offer,)))
        return offer

    def update(self, task: str, state: TaskState, sequence: int, **more: Any) -> TaskStatus:
        status = TaskStatus("fw-1", task, "a1", 1, sequence, state, **more)
        self.known[task] = status
        self.say(Updates((status,)))
        return status

    def all_of(self, kind: type[MessageT]) -> list[MessageT]:
        return [each for each in self.heard if isinstance(each, kind)]

    async def until(self, is_true: Callable[[], bool]) -> None:
        """Wait until what is heard makes it true."""
        async with asyncio.timeout(10):
            while not is_true():
                self._news.clear()
                await self._news.wait()

    async def hear(self, kind: type[MessageT], count: int = 1) -> MessageT:
        """Wait for the so-manieth message of this kind."""
        await self.until(lambda: len(self.all_of(kind)) >= count)
        return self.all_of(kind)[count - 1]

    def tell(self) -> None:
        """Have `until` look again."""
        self._news.set()

    # The server's receiver.

    def connected(self, peer: Peer) -> None:
        self._peer = peer

    def disconnected(self, peer: Peer, reason: str) -> None:
        self.tell()

    def leader_changed(self, peer: Peer, leader: Leader) -> None:
        raise AssertionError

    def received(self, peer: Peer, payload: bytes, epoch: int) -> None:
        message = decode_framework_message(payload)
        self.heard.append(message)
        self.tell()
        kind = type(message)
        if kind in self.deaf_to or isinstance(message, (Acknowledge, AcknowledgeOperations)):
            return
        refusal = self.refusals.pop(kind, None)
        if refusal is None:
            self._act(message)
        if kind in self.mute_on:
            return
        number = getattr(message, "call", 0)
        if refusal is not None:
            self.say(CallDone(number, *refusal))
        elif isinstance(message, Subscribe):
            self.say(Subscribed(number, "fw-1", tuple(self.known.values())))
        else:
            self.say(CallDone(number))

    def _act(self, message: FrameworkMessage) -> None:
        if isinstance(message, Accept):
            for each in message.operations:
                if isinstance(each, LaunchTask):
                    task = each.description.task_id
                    self.known[task] = TaskStatus("fw-1", task, "a1", 1, 0, TaskState.STAGING)
                elif isinstance(each, Reserve):
                    name, ended = each.operation_id, OperationState.FINISHED
                    self.operations[name] = OperationStatus(name, "fw-1", "a1", ended)
        elif isinstance(message, Reconcile):
            statuses = [
                self.known.get(task, TaskStatus("fw-1", task, state=TaskState.UNKNOWN))
                for task in message.tasks
            ]
            self.say(Updates(tuple(statuses)))
        elif isinstance(message, ReconcileOperations):
            known = self.operations
            told = (known.get(each, OperationStatus(each, "fw-1")) for each in message.operations)
            self.say(OperationUpdates(tuple(told)))
