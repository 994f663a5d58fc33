"""Two systems under the same loads in turn, so that what else the machine does meets both."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tests.bench.measure import cpu_s, median, percentile

Verb = Callable[[int], Awaitable[object]]  # of the number of the operation


@dataclass(frozen=True, slots=True)
class Figures:
    """One run: operations per second, milliseconds of one, CPU µs per operation of whom."""

    per_s: float
    p50_ms: float
    p99_ms: float
    client_us: float
    members_us: float


@dataclass(slots=True)
class Contender:
    """One way to do the same: its name, what it does, who serves it, and its runs so far."""

    name: str
    verb: Verb
    pids: Sequence[int]
    rest: Callable[[], Awaitable[object]] | None = None  # between runs: what need not be measured
    runs: list[Figures] = field(default_factory=list)


@dataclass(slots=True)
class Shape:
    """A load, and the contenders; the first is what the others are compared with."""

    name: str
    outstanding: int
    events: int  # of one operation
    contenders: Sequence[Contender]


async def measure(contender: Contender, outstanding: int, lasts_s: float) -> Figures:
    """Keep so many operations outstanding for so long."""
    took_s: list[float] = []
    numbers = iter(range(1 << 40))
    before_s = sum(map(cpu_s, contender.pids))
    own_s, began_s = time.process_time(), time.perf_counter()
    verb, until_s = contender.verb, began_s + lasts_s

    async def ask() -> None:
        while (asked_s := time.perf_counter()) < until_s:
            await verb(next(numbers))
            took_s.append(time.perf_counter() - asked_s)

    await asyncio.gather(*(ask() for _ in range(outstanding)))
    elapsed_s = time.perf_counter() - began_s
    own_s = time.process_time() - own_s
    used_s = sum(map(cpu_s, contender.pids)) - before_s
    if contender.rest is not None:
        await contender.rest()
    count = max(1, len(took_s))  # a stopped machine may end a run before it begins
    return Figures(
        count / elapsed_s,
        percentile(took_s, 0.5) * 1e3,
        percentile(took_s, 0.99) * 1e3,
        own_s / count * 1e6,
        used_s / count * 1e6,
    )


async def run(shapes: Sequence[Shape], rounds: int, lasts_s: float) -> None:
    """Run every shape once a round, each contender right after the other, in changing order."""
    for number in range(rounds):
        for shape in shapes:
            for contender in shape.contenders[:: -1 if number % 2 else 1]:
                figures = await measure(contender, shape.outstanding, lasts_s)
                contender.runs.append(figures)


def head(what: str) -> str:
    """Return the lines above `describe`."""
    return (
        f"\n{what}\n{'out-':>37}{'per':>9}{'lowest–':>18}{'p50':>8}{'p99':>8}{'client':>8}"
        f"{'members':>9}{'×':>7}\n{'standing':>37}{'second':>9}{'highest':>18}{'ms':>8}{'ms':>8}"
        f"{'µs':>8}{'µs':>9}{'etcd':>7}"
    )


def describe(shape: Shape) -> str:
    """Return a line of medians for each contender; ratios are medians over rounds."""
    first, lines = shape.contenders[0], []
    for contender in shape.contenders:
        runs = contender.runs
        rates = [run.per_s * shape.events for run in runs]
        each = [run.per_s / other.per_s for run, other in zip(runs, first.runs, strict=True)]
        lines.append(
            f"{shape.name:<14}{contender.name:<15}{shape.outstanding:>8,}{median(rates):>9,.0f}"
            f"{f'{min(rates):,.0f}–{max(rates):,.0f}':>18}"
            f"{median([run.p50_ms for run in runs]):>8.2f}"
            f"{median([run.p99_ms for run in runs]):>8.2f}"
            f"{median([run.client_us for run in runs]) / shape.events:>8.1f}"
            f"{median([run.members_us for run in runs]) / shape.events:>9.1f}"
            + (f"{median(each):>7.2f}" if contender is not first else "")
        )
    return "\n".join(lines)
