"""Raft messages that must not leave before what they say is on disk."""

from rlog.messages import Appended, RaftMessage


class Held:
    """Messages under the journal version that they rest on."""

    def __init__(self) -> None:
        self._messages: list[tuple[int, str, RaftMessage]] = []

    def hold(self, version: int, name: str, message: RaftMessage) -> None:
        """Keep a message until `version` is durable."""
        self._messages.append((version, name, message))

    def hold_match(self, version: int, taken: int, name: str, message: Appended) -> None:
        """Keep an acknowledgement; it covers an earlier one that waits for the same write.

        One that the write under way will release stays, or a steady stream of entries would put
        off every acknowledgement by one more write.
        """
        if self._messages:
            held_version, held_name, held = self._messages[-1]
            is_covered = (
                isinstance(held, Appended)
                and held.is_match
                and held.term == message.term
                and held_name == name
            )
            if is_covered and held_version > taken:
                self._messages.pop()
        self.hold(version, name, message)

    def release(self, durable: int, term: int) -> list[tuple[str, RaftMessage]]:
        """Return what may leave now; what was said in an older term is dropped."""
        free = [(name, m) for version, name, m in self._messages if version <= durable]
        if free:
            self._messages = [held for held in self._messages if held[0] > durable]
        return [(name, message) for name, message in free if message.term >= term]
