"""The verified twin of a link: keeps what was sent over it."""

from protocol.codecs.agent import decode_agent_message
from protocol.codecs.framework import decode_framework_message
from protocol.codecs.operator import decode_operator_message
from protocol.messages.agent import AgentMessage
from protocol.messages.framework import FrameworkMessage
from protocol.messages.operator import OperatorMessage


class RecordedLink:
    """A `master.sessions.Link` whose other end is the test."""

    def __init__(
        self, name: str = "a1", principal: str = "p", payload_bytes_max: int = 1 << 20
    ) -> None:
        self.name = name
        self.principal = principal
        self.address = "127.0.0.1:1"
        self.is_open = True
        self.payload_bytes_max = payload_bytes_max
        self.sent: list[tuple[bytes, int]] = []
        self.closed_for = ""

    def send(self, payload: bytes, epoch: int = 0) -> None:
        assert len(payload) <= self.payload_bytes_max
        if self.is_open:
            self.sent.append((payload, epoch))

    def close(self, reason: str = "") -> None:
        self.is_open = False
        self.closed_for = reason

    @property
    def to_agent(self) -> list[AgentMessage]:
        return [decode_agent_message(payload) for payload, _ in self.sent]

    @property
    def to_framework(self) -> list[FrameworkMessage]:
        return [decode_framework_message(payload) for payload, _ in self.sent]

    @property
    def to_operator(self) -> list[OperatorMessage]:
        return [decode_operator_message(payload) for payload, _ in self.sent]
