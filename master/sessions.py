"""Which open link is which number, and which one speaks for each agent and framework."""

from typing import Generic, Protocol, TypeVar

from protocol.ids import AgentId, FrameworkId


class Link(Protocol):
    """What the master's shell uses of a `protocol.peer.Peer`."""

    @property
    def name(self) -> str: ...
    @property
    def principal(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def is_open(self) -> bool: ...
    @property
    def payload_bytes_max(self) -> int: ...
    def send(self, payload: bytes, epoch: int = 0) -> None: ...
    def close(self, reason: str = "") -> None: ...


Id = TypeVar("Id", bound=str)


class Seats(Generic[Id]):
    """One link per id and one id per link."""

    def __init__(self) -> None:
        self._links: dict[Id, Link] = {}
        self._ids: dict[Link, Id] = {}

    def take(self, id_: Id, link: Link) -> Link | None:
        """Let `link` speak for `id_` from now on and return the other link that did so before."""
        self.leave(link)
        before = self._links.get(id_)
        if before is not None:
            del self._ids[before]
        self._links[id_] = link
        self._ids[link] = id_
        return before

    def leave(self, link: Link) -> Id | None:
        """Free the seat of `link` and return whose it was; None when it had none (any more)."""
        id_ = self._ids.pop(link, None)
        if id_ is not None:
            del self._links[id_]
        return id_

    def id_of(self, link: Link) -> Id | None:
        return self._ids.get(link)

    def link_of(self, id_: Id) -> Link | None:
        return self._links.get(id_)

    def clear(self) -> tuple[Id, ...]:
        """Forget who speaks for whom, and return for whom; the links stay open."""
        ids = tuple(self._links)
        self._links.clear()
        self._ids.clear()
        return ids

    def __len__(self) -> int:
        return len(self._links)


class Sessions:
    """All open links of agents and frameworks, numbered, and the seats of one leadership.

    Numbers are never reused, so an effect meant for a link cannot reach its successor.
    """

    def __init__(self) -> None:
        self.agents: Seats[AgentId] = Seats()
        self.frameworks: Seats[FrameworkId] = Seats()
        self._numbers: dict[Link, int] = {}
        self._links: dict[int, Link] = {}
        self._last = 0

    @property
    def counts(self) -> tuple[int, int]:
        """How many agents and how many frameworks have a seat."""
        return len(self.agents), len(self.frameworks)

    def open(self, link: Link) -> int:
        """Number a new link."""
        self._last += 1
        self._numbers[link] = self._last
        self._links[self._last] = link
        return self._last

    def close(self, link: Link) -> int:
        """Forget a link, its number and its seats; return the number it had."""
        number = self._numbers.pop(link)
        del self._links[number]
        self.agents.leave(link)
        self.frameworks.leave(link)
        return number

    def number_of(self, link: Link) -> int:
        return self._numbers[link]

    def link_of(self, number: int) -> Link | None:
        return self._links.get(number)
