"""`quorate task resize`: ask for it, and wait for what its agent says."""

import asyncio
import sys
from dataclasses import dataclass
from time import monotonic

from master.ctl.actions import find_task
from master.ctl.asking import ask_over, connect, list_all, run
from master.ctl.duty import count_of, print_some
from master.ctl.target import CommandError, MisuseError, Target
from protocol.client import OperatorClient
from protocol.messages.operator import (
    AgentView,
    Done,
    ListAgents,
    ListOffers,
    OfferView,
    ResizeTaskByOperator,
    TaskView,
)
from protocol.resources import Resources, format_amount, format_resources, parse_resources
from protocol.states import TERMINAL

POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class ResizeTerms:
    """A task and the amounts it shall have, as they were typed; empty: as now."""

    task: str
    cpus: str
    mem: str


def resize(target: Target, terms: ResizeTerms, wait_s: float, *, is_plan: bool) -> None:
    """Resize a running task and print what became of it.

    Raises: MisuseError for amounts that are none; CommandError with the reason when it is refused
    by the masters or by its agent, or is not done in time.
    """
    run(_resize(target, terms.task, parse_change(terms), wait_s, is_plan))


def parse_change(terms: ResizeTerms) -> Resources:
    """Return what is to change. Raises: MisuseError."""
    named = {"cpus": terms.cpus, "mem": terms.mem}
    try:
        change = parse_resources(";".join(f"{name}:{text}" for name, text in named.items() if text))
    except ValueError as error:
        raise MisuseError(str(error)) from None
    if not change:
        raise MisuseError("give --cpus, --mem or both")
    return change


async def _resize(
    target: Target, name: str, change: Resources, wait_s: float, is_plan: bool
) -> None:
    client = await connect(target)
    try:
        view = await find_task(client, name, is_all=False)
        key = f"{view.status.framework_id}/{view.status.task_id}"
        if is_plan:
            await _tell_plan(client, view, key, change)
            return
        question = ResizeTaskByOperator(
            framework_id=view.status.framework_id, task_id=view.status.task_id, resources=change
        )
        await ask_over(client, question, Done)
        if wait_s:
            await _await_settled(client, key, change, monotonic() + wait_s)
        else:
            sys.stdout.write(f"{key}: resize requested\n")
    finally:
        await client.close()


async def _await_settled(
    client: OperatorClient, key: str, change: Resources, deadline_s: float
) -> None:
    while (view := await find_task(client, key, is_all=True)).wanted:
        if monotonic() > deadline_s:
            raise CommandError(f"{key}: its agent has not done it yet, and goes on trying")
        await asyncio.sleep(POLL_S)
    now = view.description.resources.scalars
    if view.status.state in TERMINAL:
        raise CommandError(f"{key} has ended: {view.status.state.name}")
    if any(now.get(name) != amount for name, amount in change.scalars.items()):
        why = view.status.message if view.status.resize_refused else "it was resized again"
        raise CommandError(f"{key}: refused by its agent: {why}")
    sys.stdout.write(f"{key}: {format_resources(Resources(now))}\n")


async def _tell_plan(client: OperatorClient, view: TaskView, key: str, change: Resources) -> None:
    agents: list[AgentView] = await list_all(client, ListAgents())
    agent = next(each for each in agents if each.agent_id == view.status.agent_id)
    sys.stdout.write("nothing was done\n")
    for name, amount in change.scalars.items():
        now = view.description.resources.scalars.get(name, 0)
        left = (agent.total - agent.allocated).scalars.get(name, 0)
        then, verdict = format_amount(name, amount), ""
        if amount - now > left:
            verdict = "; that does not fit, and would be refused"
        sys.stdout.write(
            f"{key} has {name} {format_amount(name, now)} and would have {then}; "
            f"{agent.agent_id} has {format_amount(name, left)} beside its tasks{verdict}\n"
        )
    offers: list[OfferView] = await list_all(client, ListOffers())
    told = [
        f"{each.offer_id} of {each.framework_id}"
        for each in offers
        if each.agent_id == agent.agent_id
    ]
    sys.stdout.write(f"{count_of(len(told), 'offer')} may be taken back for it\n")
    print_some(told)
