"""What is asked of spaces: requests become commands and views, at a rate all can live with."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from protocol.decision import Refused
from protocol.errors import Fault
from rlog.answers import Outcome, Submit, reason_of
from rlog.spaces.commands import ChangeSpace
from rlog.spaces.messages import (
    Leased,
    SpaceAnswer,
    SpaceRefused,
    SpaceRequest,
)
from rlog.spaces.records import Spaces
from rlog.spaces.views import QUESTIONS, Question, view
from rlog.spaces_codec import decode_space_request, encode_space_answer
from rlog.waiting import Caller, Waiting

BURST_S = 2  # a principal that was silent for so long may ask at once what that allows


def loop_time_s() -> float:
    """Return the running loop's time."""
    return asyncio.get_running_loop().time()


class HasSpaces(Protocol):
    """A state with spaces in it."""

    spaces: Spaces


class Query(Protocol):
    """`rlog.loop.Loop.query`."""

    def __call__(self, view: Callable[[Any], Any], done: Callable[[Any], None]) -> None: ...


class Allowance:
    """How many more requests each principal may make; one that is silent saves up to a burst."""

    def __init__(self, requests_per_s: int, clock_s: Callable[[], float]) -> None:
        self.requests_per_s = requests_per_s
        self._burst = float(requests_per_s * BURST_S)
        self._clock_s = clock_s
        self._left: dict[str, tuple[float, float]] = {}  # as of when

    def take(self, principal: str) -> bool:
        """Return whether one more is allowed now."""
        now_s = self._clock_s()
        left, since_s = self._left.get(principal, (self._burst, now_s))
        left = min(self._burst, left + (now_s - since_s) * self.requests_per_s)
        is_allowed = left >= 1
        self._left[principal] = (left - 1 if is_allowed else left, now_s)
        return is_allowed


class SpaceReceiver:
    """Receives what is asked of spaces; every numbered request is answered."""

    def __init__(
        self,
        submit: Submit[ChangeSpace],
        query: Query,
        say: Callable[[Any, bytes], None],
        requests_per_s: int,
        clock_s: Callable[[], float] = loop_time_s,
    ) -> None:
        """`say` sends an encoded answer over the link that it is given."""
        self._submit = submit
        self._say_content = say
        self._query = query
        self._allowance = Allowance(requests_per_s, clock_s)
        self._waiting = Waiting(self._answer_question)

    def received(self, peer: Caller, content: bytes) -> None:
        """Take one request. Raises: Malformed."""
        request = decode_space_request(content)
        if not self._allowance.take(peer.principal):
            most = self._allowance.requests_per_s
            text = f"more than {most} requests a second; wait, and ask less often"
            self._say(peer, SpaceRefused(request.call, "OVER_RATE", text))
        elif isinstance(request, QUESTIONS):
            self._answer_question(peer, request)
        else:
            self._change(peer, request, len(content))

    def touched(self, space: str) -> None:
        """Tell those who wait for news of a space that there is some, and that it is committed."""
        self._waiting.touch(space)

    def disconnected(self, peer: Caller) -> None:
        """Forget who is gone."""
        self._waiting.forget(peer)

    def deposed(self) -> None:
        """Tell those who wait that the news are elsewhere now."""
        self._waiting.touch_all()

    def _answer_question(self, peer: Caller, request: Question) -> None:
        def look(state: HasSpaces) -> object:
            return view(state.spaces, request, peer.principal)

        def answer(outcome: Outcome) -> None:
            if not self._waiting.put(peer, request, outcome):
                self._say(peer, _answer_of(request, outcome))

        self._query(look, answer)

    def _change(self, peer: Caller, request: SpaceRequest, size_bytes: int) -> None:
        def answer(outcome: Outcome) -> None:
            if isinstance(outcome, Leased):
                # A renewal writes nothing, so no commit proves that we still led: a successor
                # that took over before would let the lease end earlier than its holder believes.
                self._query(lambda state: outcome, tell)
            else:
                tell(outcome)

        def tell(outcome: Outcome) -> None:
            self._say(peer, _answer_of(request, outcome))

        assert not isinstance(request, QUESTIONS)
        self._submit(ChangeSpace(peer.principal, request), answer, size_bytes)

    def _say(self, peer: Caller, answer: SpaceAnswer) -> None:
        if peer.is_open:
            self._say_content(peer, encode_space_answer(answer))


def _answer_of(request: SpaceRequest, outcome: Any) -> SpaceAnswer:
    if isinstance(outcome, Refused | Fault):
        return SpaceRefused(request.call, *reason_of(outcome))
    answer: SpaceAnswer = outcome  # what the core replies and the views are
    return answer
