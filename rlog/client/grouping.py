"""Groups: questions of many callers that travel as one request, and are answered one by one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from protocol.errors import Fault, Overloaded

UNDER_WAY_MAX = 8  # groups; while so many are asked, what comes gathers in those that wait
WAITING_MAX = 65_536  # questions of one kind that wait; more only makes answers late

Q = TypeVar("Q")
A = TypeVar("A")


class _Group(Generic[Q, A]):
    """Questions that are asked together, each with its answer to come."""

    def __init__(self) -> None:
        self.asked: list[tuple[Q, asyncio.Future[A]]] = []
        self.marks: set[Hashable] = set()
        self.size_bytes = 0

    def settle(self, answers: Sequence[A]) -> None:
        for (_, future), answer in zip(self.asked, answers, strict=True):
            if not future.done():  # who asked may have given up
                future.set_result(answer)

    def fail(self, error: BaseException) -> None:
        for _, future in self.asked:
            if not future.done():
                future.set_exception(error)


class Grouping(Generic[Q, A]):
    """Asks together what is asked in one turn of the event loop, and while others are under way.

    A request costs every master a message, a decision and its part of a write, whatever it holds.
    Groups are asked in the order of their questions. One that is refused is asked again question
    by question, for each to have its own answer.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[Q]], Awaitable[Sequence[A]]],
        refusal: type[Fault],
        *,
        questions_max: int,
        bytes_max: int,
    ) -> None:
        """`ask` returns the answers to some questions.

        It raises `refusal` when all of them were refused and nothing has changed.
        """
        self._ask = ask
        self._refusal = refusal
        self._questions_max = questions_max
        self._bytes_max = bytes_max
        self._groups: deque[_Group[Q, A]] = deque()
        self._waiting = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_due = False

    def ask(
        self, question: Q, size_bytes: int, mark: Hashable | None = None
    ) -> "asyncio.Future[A]":
        """Return the answer to come. Questions of one `mark` are not asked in one group.

        Raises: Overloaded.
        """
        if self._waiting >= WAITING_MAX:
            raise Overloaded(f"{WAITING_MAX} questions wait to be asked already")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[A] = loop.create_future()
        group = self._group_for(size_bytes, mark)
        group.asked.append((question, future))
        group.size_bytes += size_bytes
        if mark is not None:
            group.marks.add(mark)
        self._waiting += 1
        if not self._is_due and len(self._tasks) < UNDER_WAY_MAX:
            self._is_due = True
            loop.call_soon(self._send)
        return future

    def _group_for(self, size_bytes: int, mark: Hashable | None) -> _Group[Q, A]:
        if self._groups:
            newest = self._groups[-1]
            is_full = (
                len(newest.asked) >= self._questions_max
                or newest.size_bytes + size_bytes > self._bytes_max
            )
            if not is_full and (mark is None or mark not in newest.marks):
                return newest
        self._groups.append(_Group())
        return self._groups[-1]

    def _send(self) -> None:
        self._is_due = False
        loop = asyncio.get_running_loop()
        while self._groups and len(self._tasks) < UNDER_WAY_MAX:
            group = self._groups.popleft()
            self._waiting -= len(group.asked)
            task = loop.create_task(self._ask_group(group))
            self._tasks.add(task)
            task.add_done_callback(self._asked)

    def _asked(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._is_due and self._groups and not task.cancelled():
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._send)

    async def _ask_group(self, group: _Group[Q, A]) -> None:
        try:
            group.settle(await self._ask([question for question, _ in group.asked]))
        except self._refusal as refusal:
            if len(group.asked) == 1:
                group.fail(refusal)
                return
            for question, future in group.asked:
                single: _Group[Q, A] = _Group()
                single.asked.append((question, future))
                await self._ask_group(single)
        except asyncio.CancelledError as error:
            group.fail(error)
            raise
        except Exception as error:
            group.fail(error)
