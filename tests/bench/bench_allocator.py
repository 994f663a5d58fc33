"""The allocator alone, in processor time: cycles, one freed agent, declines, demand, quotas."""

import argparse

from master.core.offers import DeclineOffers
from master.core.quotas import SetQuota
from master.core.requests import RequestResources
from master.core.roles import SuppressOffers
from protocol.ids import FrameworkId
from protocol.messages.framework import Decline, Request, Suppress, Want
from protocol.messages.values import Quantity
from tests.bench.bench_core import Bench, seconds
from tests.bench.measure import percentile

SHAPES = ((1_000, 100), (10_000, 1_000), (20_000, 2_000))
QUICK = ((1_000, 100),)
FREED = 200
DECLINES = 10_000
QUOTAS = 3_000
REQUESTS = 100
SUPPRESSED = 0.99


def cycle(agents: int, frameworks: int) -> Bench:
    """Print how long it takes to offer everything, and then one agent that is given back."""
    bench = Bench(agents, frameworks)
    whole_s = seconds(bench.tick)
    offers = len(bench.state.soft.offers)
    freed_ms = sorted(1e3 * free_one(bench) for _ in range(FREED))
    print(
        f"{agents:>8,} × {frameworks:<6,} {offers:>7,} offers in {whole_s:6.2f} s"
        f"{percentile(freed_ms, 0.5):>10.2f}{percentile(freed_ms, 0.99):>8.2f} ms",
        flush=True,
    )
    return bench


def free_one(bench: Bench) -> float:
    """Return how long the pass takes after one framework gave an offer back."""
    offer = next(iter(bench.state.soft.offers.values()))
    bench.submit(DeclineOffers(offer.framework_id, Decline(1, (offer.id,), 0)))
    return seconds(bench.tick)


def decline_many(bench: Bench, count: int) -> None:
    """Print how long declines take, one call each, and the passes after them."""
    offers = list(bench.state.soft.offers.values())[:count]

    def decline() -> None:
        for offer in offers:
            bench.submit(DeclineOffers(offer.framework_id, Decline(1, (offer.id,), 0)))

    declined_s, passes_s = seconds(decline), seconds(bench.tick)
    print(f"{len(offers):,} declines {declined_s:.2f} s, the passes after them {passes_s:.2f} s")


def suppress_most(agents: int, frameworks: int) -> None:
    """Print how long a cycle takes when hardly anybody wants anything."""
    bench = Bench(agents, frameworks)
    for number in range(int(frameworks * SUPPRESSED)):
        bench.submit(SuppressOffers(FrameworkId(f"fw-{number + 1}"), Suppress(1)))
    print(
        f"{agents:,} × {frameworks:,} with {SUPPRESSED:.0%} suppressed: {seconds(bench.tick):.2f} s"
    )


def with_quotas(agents: int, frameworks: int, roles: int) -> None:
    """Print what so many roles with quotas add."""
    bench = Bench(agents, frameworks)
    for number in range(roles):
        amounts = {"cpus": 32_000, "mem": 32 << 30}
        name = f"role{number}" if number < 10 else f"quiet{number}"
        bench.submit(SetQuota(name, {}, {key: 1000 * n for key, n in amounts.items()}))
    whole_s = seconds(bench.tick)
    freed_ms = sorted(1e3 * free_one(bench) for _ in range(FREED // 4))
    idle_ms = 1e3 * seconds(bench.tick)
    print(
        f"{roles:,} quotas, {agents:,} × {frameworks:,}: {whole_s:.2f} s, one agent"
        f" {percentile(freed_ms, 0.5):.2f} ms, nothing to do {idle_ms:.3f} ms"
    )


def ask(bench: Bench, framework: int, tasks: int, cpus_milli: int) -> float:
    """Return how long it takes to decide a request and to fold what follows from it."""
    amounts = (Quantity("cpus", cpus_milli), Quantity("mem", 1 << 30))
    call = Request(1, f"role{framework % 10}", (Want(amounts, tasks),) if tasks else ())
    command = RequestResources(FrameworkId(f"fw-{framework + 1}"), call)
    return seconds(lambda: bench.submit(command))


def with_demand(agents: int, frameworks: int) -> None:
    """Print what passes and requests take when all say what they want."""
    bench = Bench(agents, frameworks)
    for number in range(frameworks):
        ask(bench, number, 0, 0)
    bench.tick()
    answered_ms = sorted(1e3 * ask(bench, number, 5, 1000) for number in range(REQUESTS))
    unmet_ms = sorted(1e3 * ask(bench, number, 5, 64_000 + number) for number in range(REQUESTS))
    bench.tick()
    each = 40 * agents // frameworks
    whole_s = sum(ask(bench, number, each, 1000) for number in range(frameworks))
    offers = len(bench.state.soft.offers)
    freed_ms = sorted(1e3 * free_one(bench) for _ in range(FREED))
    print(f"demand, {agents:,} × {frameworks:,}: {offers:,} offers in {whole_s:.2f} s", end="")
    for what, taken_ms in (
        ("answered", answered_ms),
        ("that fits nowhere", unmet_ms),
        ("after one agent was freed", freed_ms),
    ):
        half, most = percentile(taken_ms, 0.5), percentile(taken_ms, 0.99)
        print(f", {what} {half:.2f} ms (p99 {most:.2f})", end="")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    shapes = QUICK if parser.parse_args().quick else SHAPES
    print(
        f"{'agents × frameworks':>19} {'everything offered':>25} {'one agent: p50':>13}{'p99':>7}"
    )
    for agents, frameworks in shapes:
        bench = cycle(agents, frameworks)
    decline_many(bench, DECLINES)
    agents, frameworks = shapes[-1]
    suppress_most(agents, frameworks)
    with_demand(agents, frameworks)
    with_quotas(agents, frameworks, min(QUOTAS, 3 * frameworks))


if __name__ == "__main__":
    main()
