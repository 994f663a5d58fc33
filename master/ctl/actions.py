"""The commands that change something: kill tasks, remove a framework, set a weight."""

import sys
from collections.abc import Sequence

from master.ctl.asking import ask_over, connect, list_all, run
from master.ctl.duty import count_of, print_some
from master.ctl.target import CommandError, Target
from protocol.client import OperatorClient
from protocol.messages.operator import (
    Done,
    FrameworkView,
    KillTaskByOperator,
    ListFrameworks,
    ListOffers,
    ListRoles,
    ListTasks,
    OfferView,
    RemoveFramework,
    SetWeight,
    TaskView,
)
from protocol.states import TERMINAL

SECOND_NS = 1_000_000_000
CANDIDATES_MAX = 10
DEFAULT_GRACE_NS = 0  # the task's own, or the agent's


def set_weight(target: Target, role: str, weight_milli: int) -> None:
    """Set a role's weight. Raises: CommandError."""
    run(_set_weight(target, role, weight_milli))


def remove_framework(target: Target, framework: str, *, is_plan: bool) -> None:
    """Remove the framework with this id, or the only one with this name. Raises: CommandError.

    `is_plan`: say what would become of its offers and tasks, and do nothing.
    """
    run(_remove_framework(target, framework, is_plan))


def kill_tasks(
    target: Target, tasks: Sequence[str], grace_s: float | None, *, is_plan: bool
) -> None:
    """Kill the tasks named `task` or `framework/task`.

    Raises: CommandError for the first that cannot be found or killed.
    """
    run(_kill_tasks(target, tasks, grace_s, is_plan))


async def find_task(client: OperatorClient, name: str, *, is_all: bool) -> TaskView:
    """Return the one task of this name; among several launches of it, the newest.

    `is_all`: ended ones count too.
    Raises: CommandError when there is none, or when several frameworks have a task of this id.
    """
    views = await list_all(client, ListTasks(task=name))
    if not is_all:
        views = [view for view in views if view.status.state not in TERMINAL]
    if not views:
        kind = "task" if is_all else "running task"
        raise CommandError(f"no {kind} {name}; see `quorate ps{' -a' if is_all else ''}`")
    keys = {f"{view.status.framework_id}/{view.status.task_id}": None for view in views}
    if len(keys) > 1:
        listed = "\n".join(f"  {key}" for key in list(keys)[:CANDIDATES_MAX])
        more = "" if len(keys) <= CANDIDATES_MAX else f"\n  and {len(keys) - CANDIDATES_MAX} more"
        raise CommandError(f"{name} is ambiguous; name one of\n{listed}{more}")
    newest: TaskView = max(views, key=lambda view: view.status.launch)
    return newest


async def _set_weight(target: Target, role: str, weight_milli: int) -> None:
    client = await connect(target)
    try:
        await ask_over(client, SetWeight(role=role, weight_milli=weight_milli), Done)
        sys.stdout.write(f"{role}: weight {weight_milli / 1000:g}\n")
        views = await list_all(client, ListRoles())
    finally:
        await client.close()
    if not any(view.role == role and view.frameworks for view in views):
        sys.stderr.write(f"quorate: role {role} has no framework yet\n")


def describe_removal(view: FrameworkView) -> str:
    """Return what the removal of a framework does to its tasks."""
    ends = "it has no tasks"
    if view.tasks:
        ends = "its task is killed" if view.tasks == 1 else f"its {view.tasks} tasks are killed"
    return f"{view.framework_id}: removed; {ends}"


async def _kill_tasks(
    target: Target, tasks: Sequence[str], grace_s: float | None, is_plan: bool
) -> None:
    grace_ns = DEFAULT_GRACE_NS if grace_s is None else max(1, int(grace_s * SECOND_NS))
    client = await connect(target)
    try:
        for name in tasks:
            view = await find_task(client, name, is_all=False)
            status = view.status
            if is_plan:
                where = f"{status.state.name} on {view.agent_hostname}"
                text = f"{status.framework_id}/{status.task_id}: {where}, would be killed"
                sys.stdout.write(f"{text}; nothing was done\n")
                continue
            question = KillTaskByOperator(
                framework_id=status.framework_id, task_id=status.task_id, grace_ns=grace_ns
            )
            await ask_over(client, question, Done)
            sys.stdout.write(f"{status.framework_id}/{status.task_id}: kill requested\n")
    finally:
        await client.close()


async def _remove_framework(target: Target, name: str, is_plan: bool) -> None:
    client = await connect(target)
    try:
        views = await list_all(client, ListFrameworks())
        found = [view for view in views if name == view.framework_id] or [
            view for view in views if name == view.name
        ]
        if not found:
            raise CommandError(f"no framework {name}; see `quorate frameworks`")
        if len(found) > 1:
            listed = "\n".join(f"  {view.framework_id}" for view in found[:CANDIDATES_MAX])
            raise CommandError(
                f"{name} is the name of {len(found)} frameworks; name one of\n{listed}"
            )
        if is_plan:
            await _tell_removal(client, found[0])
            return
        await ask_over(client, RemoveFramework(framework_id=found[0].framework_id), Done)
        sys.stdout.write(f"{describe_removal(found[0])}\n")
    finally:
        await client.close()


async def _tell_removal(client: OperatorClient, view: FrameworkView) -> None:
    """Print what would become of a framework's offers and tasks."""
    tasks: list[TaskView] = await list_all(client, ListTasks(framework_id=view.framework_id))
    offers: list[OfferView] = await list_all(client, ListOffers())
    offers = [each for each in offers if each.framework_id == view.framework_id]
    sys.stdout.write(f"{view.framework_id} ({view.name}) would be removed; nothing was done\n")
    sys.stdout.write(f"{count_of(len(offers), 'offer')} would be taken back\n")
    print_some([f"{each.offer_id} of {each.hostname}" for each in offers])
    sys.stdout.write(f"{count_of(len(tasks), 'task')} would be killed\n")
    print_some([f"{each.status.task_id} {each.status.state.name}" for each in tasks])
