"""`quorate explain`: why a framework or a role is, or is not, offered anything; a task's case."""

import json
import sys

from master.ctl.actions import find_task
from master.ctl.asking import ask_over, connect, list_all, run
from master.ctl.target import CommandError, Target
from protocol.client import OperatorClient
from protocol.messages.operator import (
    Explain,
    Explanation,
    Finding,
    FrameworkView,
    ListFrameworks,
    ListRoles,
    ListTasks,
)


def explain(target: Target, name: str, form: str) -> None:
    """Explain the framework of this id or name, else the role, else the task.

    Raises: CommandError.
    """
    findings = run(_ask(target, name))
    if form == "json":
        sys.stdout.write(json.dumps([_plain(each) for each in findings], indent=2) + "\n")
        return
    about = ""
    for finding in findings:
        if finding.about != about:
            about = finding.about
            sys.stdout.write(f"{about}\n")
        sys.stdout.write(f"  {_line(finding)}\n")


async def _ask(target: Target, name: str) -> tuple[Finding, ...]:
    client = await connect(target)
    try:
        answer = await ask_over(client, await _question(client, name), Explanation)
    finally:
        await client.close()
    return answer.findings


async def _question(client: OperatorClient, name: str) -> Explain:
    frameworks: list[FrameworkView] = await list_all(client, ListFrameworks(all=True))
    ids = [view.framework_id for view in frameworks if view.framework_id == name] or [
        view.framework_id
        for view in frameworks
        if view.name == name and view.state not in ("removed", "left")
    ]
    if len(ids) > 1:
        raise CommandError(f"{len(ids)} frameworks are named {name}; name one of {', '.join(ids)}")
    if ids:
        return Explain(framework_id=ids[0])
    if any(view.role == name for view in await list_all(client, ListRoles())):
        return Explain(role=name)
    if not await list_all(client, ListTasks(task=name)):
        raise CommandError(
            f"no framework, no role and no task {name}; see `quorate frameworks`, "
            "`quorate roles` and `quorate ps -a`"
        )
    status = (await find_task(client, name, is_all=True)).status
    return Explain(framework_id=status.framework_id, task_id=status.task_id)


def _line(finding: Finding) -> str:
    examples = ", ".join(finding.examples)
    more = ", …" if finding.count > len(finding.examples) > 0 else ""
    if finding.reason in ("TURN", "RANK"):
        return finding.text + (f"; before it {examples}{more}" if examples else "")
    if finding.reason == "FRAMEWORKS" or not finding.count:
        return finding.text + (f": {examples}{more}" if examples else "")
    agents = "agent" if finding.count == 1 else "agents"
    return f"{finding.count} {agents} {finding.text} ({examples}{more})"


def _plain(finding: Finding) -> dict[str, object]:
    return {
        "about": finding.about,
        "reason": finding.reason,
        "text": finding.text,
        "count": finding.count,
        "examples": list(finding.examples),
    }
