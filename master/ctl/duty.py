"""`quorate agent drain` and its like: take agents out of service, empty them, give them up."""

import asyncio
import sys
from dataclasses import dataclass
from time import monotonic

from master.ctl.asking import ask_for_list, ask_over, connect, list_all, now_ns, run
from master.ctl.tables import format_age
from master.ctl.target import CommandError, Target
from protocol.client import OperatorClient
from protocol.messages.operator import (
    ActivateAgent,
    AgentView,
    DeactivateAgent,
    DeclareGone,
    Done,
    DrainAgent,
    ListAgents,
    ListOffers,
    ListTasks,
    OfferView,
    TaskView,
)

SECOND_NS = 1_000_000_000
POLL_S = 0.5
LISTED_MAX = 20  # of a plan; who wants all of them asks `quorate ps`


@dataclass(frozen=True, slots=True)
class DrainTerms:
    """How an agent is emptied: `deadline_s` until the kills, `grace_s` within each.

    None and False: not said.
    """

    grace_s: float | None
    deadline_s: float | None
    marks_gone: bool

    @property
    def are_said(self) -> bool:
        return self.marks_gone or not (self.grace_s is None and self.deadline_s is None)


def deactivate(target: Target, agent: str, *, is_plan: bool) -> None:
    """Offer nothing of the agent any more. Raises: CommandError."""
    run(_deactivate(target, agent, is_plan))


def activate(target: Target, agent: str) -> None:
    """Offer the agent again, whether it was deactivated or drained. Raises: CommandError."""
    run(_activate(target, agent, is_drain=False))


def undrain(target: Target, agent: str) -> None:
    """End the drain of an agent. Raises: CommandError, also when it is not being drained."""
    run(_activate(target, agent, is_drain=True))


def drain(target: Target, agent: str, terms: DrainTerms, wait_s: float, *, is_plan: bool) -> None:
    """Empty the agent, and wait for it so long.

    Raises: CommandError, also when it is not empty in time.
    """
    run(_drain(target, agent, terms, wait_s, is_plan))


def declare_gone(target: Target, agent: str, *, is_plan: bool) -> None:
    """Give an agent that is away up for good. Raises: CommandError."""
    run(_declare_gone(target, agent, is_plan))


def describe_duty(view: AgentView, now_ns: int) -> str:
    """Return in a few words how far a drain is."""
    left = f"{view.tasks} task{'' if view.tasks == 1 else 's'} left"
    if view.duty != "draining":
        return view.duty
    if view.kill_ns > now_ns:
        said = f"; {view.accepted} of {view.asked} frameworks said they leave" if view.asked else ""
        return f"draining, {left}{said}, killed in {format_age(view.kill_ns - now_ns)}"
    return f"draining, {left}" + ("" if view.state == "connected" else f", {view.state}")


async def _deactivate(target: Target, name: str, is_plan: bool) -> None:
    client = await connect(target)
    try:
        view = await find_agent(client, name)
        if is_plan:
            await _tell_plan(client, view, "run on")
            return
        await ask_over(client, DeactivateAgent(agent_id=view.agent_id), Done)
    finally:
        await client.close()
    sys.stdout.write(f"{view.agent_id}: deactivated\n")


async def _activate(target: Target, name: str, *, is_drain: bool) -> None:
    client = await connect(target)
    try:
        view = await find_agent(client, name)
        if is_drain and view.duty not in ("draining", "drained"):
            raise CommandError(f"{view.agent_id} is not being drained: it is {view.duty}")
        await ask_over(client, ActivateAgent(agent_id=view.agent_id), Done)
    finally:
        await client.close()
    sys.stdout.write(f"{view.agent_id}: active\n")


async def _drain(
    target: Target, name: str, terms: DrainTerms, wait_s: float, is_plan: bool
) -> None:
    grace_ns = 0 if terms.grace_s is None else max(1, int(terms.grace_s * SECOND_NS))
    client = await connect(target)
    try:
        view = await find_agent(client, name)
        if is_plan:
            after = f" in {terms.deadline_s:g} s" if terms.deadline_s else ""
            await _tell_plan(client, view, f"killed{after}")
            return
        is_new = view.duty not in ("draining", "drained")
        if is_new or terms.are_said:
            question = DrainAgent(
                agent_id=view.agent_id,
                grace_ns=grace_ns,
                deadline_ns=int((terms.deadline_s or 0) * SECOND_NS),
                marks_gone=terms.marks_gone,
            )
            await ask_over(client, question, Done)
        elif not wait_s:  # nobody shall kill by asking how far it is
            raise CommandError(
                f"{view.agent_id} is {view.duty} already: give --wait to look on, "
                "--deadline or --grace to change the terms"
            )
    finally:
        await client.close()
    if wait_s:
        await _await_empty(target, view.agent_id, wait_s)
    else:
        sys.stdout.write(f"{view.agent_id}: drain begun\n")


async def _declare_gone(target: Target, name: str, is_plan: bool) -> None:
    client = await connect(target)
    try:
        view = await find_agent(client, name)
        if is_plan:
            await _tell_plan(client, view, "gone")
            if view.state == "connected":
                raise CommandError(
                    f"{view.agent_id} is connected: it would be refused; "
                    "see `quorate agent drain --mark-gone`"
                )
            return
        await ask_over(client, DeclareGone(agent_id=view.agent_id), Done)
    finally:
        await client.close()
    sys.stdout.write(f"{view.agent_id}: gone, with {count_of(view.tasks, 'task')}\n")


async def _await_empty(target: Target, agent_id: str, wait_s: float) -> None:
    """Return once the agent has no task, saying how far it is; a change of leader is no matter."""
    deadline_s = monotonic() + wait_s
    said = ""
    while True:
        views = await ask_for_list(target, ListAgents())
        found = [view for view in views if view.agent_id == agent_id]
        said = _say(agent_id, describe_duty(found[0], now_ns()) if found else "gone", said)
        if not found or (found[0].duty == "drained" and not found[0].marks_gone):
            return
        if found[0].duty not in ("draining", "drained"):
            raise CommandError(f"{agent_id} is not being drained any more: it is {found[0].duty}")
        if monotonic() > deadline_s:
            raise CommandError(f"{agent_id} is not empty after {wait_s:g} s; the drain goes on")
        await asyncio.sleep(POLL_S)


def _say(agent_id: str, text: str, before: str) -> str:
    """Print the text unless only its time is another than before."""
    if text.partition(", killed in")[0] != before.partition(", killed in")[0]:
        sys.stdout.write(f"{agent_id}: {text}\n")
        sys.stdout.flush()
    return text


async def find_agent(client: OperatorClient, name: str) -> AgentView:
    """Return the agent with this id, or the only one on the machine of this name.

    Raises: CommandError.
    """
    views: list[AgentView] = await list_all(client, ListAgents())
    found = [view for view in views if view.agent_id == name] or [
        view for view in views if view.hostname == name
    ]
    if not found:
        raise CommandError(f"no agent {name}; see `quorate agents`")
    if len(found) > 1:
        listed = "\n".join(f"  {view.agent_id}" for view in found[:LISTED_MAX])
        raise CommandError(f"{name} is the machine of {len(found)} agents; name one of\n{listed}")
    return found[0]


async def _tell_plan(client: OperatorClient, view: AgentView, fate: str) -> None:
    """Print what would become of the agent's offers and tasks."""
    agent_id = view.agent_id
    tasks: list[TaskView] = await list_all(client, ListTasks(agent_id=agent_id))
    offers: list[OfferView] = await list_all(client, ListOffers())
    offers = [each for each in offers if each.agent_id == agent_id]
    sys.stdout.write(f"{agent_id} is {view.state}, {view.duty}; nothing was done\n")
    sys.stdout.write(f"{count_of(len(offers), 'offer')} would be taken back\n")
    print_some([f"{each.offer_id} of {each.framework_id}" for each in offers])
    sys.stdout.write(f"{count_of(len(tasks), 'task')} would {_verb(fate)}\n")
    print_some(
        [
            f"{each.status.framework_id}/{each.status.task_id} {each.status.state.name}"
            for each in tasks
        ]
    )


def _verb(fate: str) -> str:
    return fate if fate == "run on" else f"be {fate}"


def print_some(lines: list[str]) -> None:
    """Print the first lines, and how many there are more."""
    for line in lines[:LISTED_MAX]:
        sys.stdout.write(f"  {line}\n")
    if len(lines) > LISTED_MAX:
        sys.stdout.write(f"  and {len(lines) - LISTED_MAX} more\n")


def count_of(number: int, what: str) -> str:
    """Return `1 task` or `2 tasks`."""
    return f"{number} {what}{'' if number == 1 else 's'}"
