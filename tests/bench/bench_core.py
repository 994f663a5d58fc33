"""The master's core alone: launches a second, and an allocation pass over many agents."""

import time
from collections.abc import Callable

from master.core.agents import RegisterAgent
from master.core.frameworks import SubscribeFramework
from master.core.leadership import Tick
from master.core.machine import Command, Machine
from master.core.offers import AcceptOffers, DeclineOffers
from master.core.settings import SECOND_NS, Settings
from master.core.snapshot import digest, dump, load
from master.core.updates import AcknowledgeUpdates, UpdateStatuses
from protocol.decision import Decision
from protocol.ids import split_key
from protocol.messages.agent import RegisterAgent as Registration
from protocol.messages.framework import (
    Accept,
    Acknowledgement,
    Decline,
    LaunchTask,
    Subscribe,
)
from protocol.messages.values import TaskDescription, TaskState, TaskStatus
from protocol.resources import parse_resources

TASK = parse_resources("cpus:0.1;mem:64MiB")
TASKS_PER_AGENT = 20
LONG_NS = 3600 * SECOND_NS


class Bench:
    """A leader that neither logs nor checks, only decides and folds."""

    def __init__(self, agents: int, frameworks: int) -> None:
        self.machine = Machine(Settings(offer_timeout_ns=LONG_NS, launch_resend_ns=LONG_NS))
        self.state = self.machine.empty()
        self.now_ns = SECOND_NS
        self.events = 0
        self.submit(self.machine.take_over(1, "m1:7000"))
        for number in range(agents):
            register = Registration(
                agent_id=f"a{number}", resources=parse_resources("cpus:32;mem:128GiB;disk:1TiB")
            )
            self.submit(RegisterAgent(register, "p", number))
        for number in range(frameworks):
            call = Subscribe(name="f", roles=(f"role{number % 10}",), failover_timeout_ns=LONG_NS)
            self.submit(SubscribeFramework(call, "p", number))

    def submit(self, command: Command) -> None:
        outcome = self.machine.decide(self.state, command, self.now_ns)
        assert isinstance(outcome, Decision), outcome
        for event in outcome.events:
            self.machine.apply(self.state, event)
        for soft in outcome.soft:
            self.machine.apply_soft(self.state, soft)
        if outcome.events:
            self.events += len(outcome.events)

    def tick(self) -> None:
        self.now_ns += SECOND_NS
        while (due_ns := self.machine.due(self.state)) is not None and due_ns <= self.now_ns:
            self.submit(Tick())


def seconds(action: Callable[[], object]) -> float:
    """Return the processor time of one call: the machine may be busy with other things."""
    begin = time.process_time()
    action()
    return time.process_time() - begin


def accept_all(bench: Bench) -> int:
    """Launch tasks on every offer; return how many."""
    offers = list(bench.state.soft.offers.values())
    for offer in offers:
        tasks = tuple(
            LaunchTask(TaskDescription(f"{offer.id}.{n}", command=("run",), resources=TASK))
            for n in range(TASKS_PER_AGENT)
        )
        accept = Accept(1, (offer.id,), tasks, LONG_NS)
        bench.submit(AcceptOffers(offer.framework_id, accept))
    return len(offers) * TASKS_PER_AGENT


def update_all(bench: Bench, state: TaskState, sequence: int) -> None:
    for agent in tuple(bench.state.agents.values()):
        statuses = tuple(
            TaskStatus(*split_key(key), agent.id, launch, sequence, state)
            for key, launch in agent.tasks.items()
        )
        bench.submit(UpdateStatuses(agent.id, statuses))


def acknowledge_all(bench: Bench, sequence: int = 1) -> None:
    for framework in tuple(bench.state.frameworks.values()):
        each = tuple(
            Acknowledgement(task_id, launch, sequence)
            for task_id, launch in framework.tasks.items()
        )
        bench.submit(AcknowledgeUpdates(framework.id, each))


def decline_all(bench: Bench) -> None:
    by_framework = bench.state.soft.offers_by_framework
    for framework_id, offers in [(each, tuple(by_framework[each])) for each in by_framework]:
        for begin in range(0, len(offers), 100):
            decline = Decline(1, offers[begin : begin + 100], 1)
            bench.submit(DeclineOffers(framework_id, decline))


def report(name: str, count: int, taken_s: float, unit: str) -> None:
    print(f"{name:44} {taken_s * 1000:9.1f} ms  {count / taken_s:12,.0f} {unit}/s")


def bench_passes(agents: int, frameworks: int) -> None:
    bench = Bench(agents, frameworks)
    name = f"{agents} agents, {frameworks} frameworks"
    report(f"pass: {name}", agents, seconds(bench.tick), "offers")
    report(f"decline: {name}", agents, seconds(lambda: decline_all(bench)), "offers")
    report(f"pass again: {name}", agents, seconds(bench.tick), "offers")


def bench_tasks() -> None:
    bench = Bench(agents=1000, frameworks=10)
    bench.tick()
    launches = 0

    def launch() -> None:
        nonlocal launches
        launches = accept_all(bench)

    report("accept and launch", 20_000, seconds(launch), "launches")
    assert launches == 20_000
    running = seconds(lambda: update_all(bench, TaskState.RUNNING, 1))
    report("update to running", launches, running, "updates")
    report("acknowledge", launches, seconds(lambda: acknowledge_all(bench)), "updates")
    content = dump(bench.state)
    report(f"dump {len(content) >> 20} MiB", launches, seconds(lambda: dump(bench.state)), "tasks")
    report("load", launches, seconds(lambda: load(content)), "tasks")
    report("digest", launches, seconds(lambda: digest(bench.state)), "tasks")
    ended = seconds(lambda: update_all(bench, TaskState.FINISHED, 2))
    report("update to finished", launches, ended, "updates")


def main() -> None:
    for agents in (1000, 5000):
        for frameworks in (1, 100):
            bench_passes(agents, frameworks)
    bench_tasks()


if __name__ == "__main__":
    main()
