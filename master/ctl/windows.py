"""Maintenance windows from the operator's words: times, agents, and what they would cost."""

import re
import sys
from dataclasses import dataclass
from datetime import datetime

from master.ctl.asking import ask_over, connect, list_all, now_ns, run
from master.ctl.duty import count_of, find_agent, print_some
from master.ctl.tables import format_age
from master.ctl.target import MisuseError, Target
from protocol.client import OperatorClient
from protocol.messages.operator import Done, ListOffers, ListTasks, OfferView, ScheduleWindow

SECOND_NS = 1_000_000_000
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


@dataclass(frozen=True, slots=True)
class WindowTerms:
    """A window as it was typed."""

    name: str
    agents: tuple[str, ...]
    start: str
    length: str
    grace_s: float


def schedule(target: Target, terms: WindowTerms, *, is_plan: bool) -> None:
    """Announce the window. Raises: CommandError, MisuseError for a time that is none."""
    begin_ns = now_ns()
    start_ns = parse_time(terms.start, begin_ns)
    end_ns = max(start_ns, begin_ns) + parse_duration("--for", terms.length) if terms.length else 0
    run(_schedule(target, terms, (start_ns, end_ns), is_plan))


def parse_time(text: str, now_ns: int) -> int:
    """Return the time that `+2h` or an ISO time names, in ns since 1970.

    A time without an offset from UTC is this machine's. Raises: MisuseError.
    """
    if text.startswith("+"):
        return now_ns + parse_duration("--start", text[1:])
    try:
        return int(datetime.fromisoformat(text).timestamp() * SECOND_NS)
    except ValueError:
        raise MisuseError(
            f"--start: {text!r} is no time: give 2026-01-31T22:00+00:00, or +2h from now"
        ) from None


def parse_duration(flag: str, text: str) -> int:
    """Return nanoseconds of `90s`, `30m`, `2h`, `3d`. Raises: MisuseError."""
    found = DURATION.fullmatch(text)
    if found is None:
        raise MisuseError(f"{flag}: {text!r} is no duration: give 90s, 30m, 2h or 3d")
    return int(float(found[1]) * UNITS_S[found[2]] * SECOND_NS)


async def _schedule(
    target: Target, terms: WindowTerms, times: tuple[int, int], is_plan: bool
) -> None:
    client = await connect(target)
    try:
        ids = [(await find_agent(client, each)).agent_id for each in terms.agents]
        if is_plan:
            await _tell_plan(client, tuple(dict.fromkeys(ids)))
            return
        question = ScheduleWindow(
            name=terms.name,
            agents=tuple(ids),
            start_ns=times[0],
            end_ns=times[1],
            grace_ns=int(terms.grace_s * SECOND_NS),
        )
        await ask_over(client, question, Done)
    finally:
        await client.close()
    begins = (
        "begins now" if times[0] <= now_ns() else f"begins in {format_age(times[0] - now_ns())}"
    )
    sys.stdout.write(f"{terms.name}: scheduled, {count_of(len(ids), 'agent')}; it {begins}\n")


async def _tell_plan(client: OperatorClient, agent_ids: tuple[str, ...]) -> None:
    sys.stdout.write("nothing was done\n")
    offers: list[OfferView] = await list_all(client, ListOffers())
    told = [
        f"{each.offer_id} of {each.framework_id}" for each in offers if each.agent_id in agent_ids
    ]
    sys.stdout.write(f"{count_of(len(told), 'offer')} would be made anew\n")
    print_some(told)
    lines: list[str] = []
    frameworks: dict[str, None] = {}
    for agent_id in agent_ids:
        for task in await list_all(client, ListTasks(agent_id=agent_id)):
            status = task.status
            frameworks[status.framework_id] = None
            lines.append(f"{status.framework_id}/{status.task_id} on {agent_id}")
    asked = count_of(len(frameworks), "framework")
    sys.stdout.write(
        f"{asked} would be asked to leave, and {count_of(len(lines), 'task')} killed at the start\n"
    )
    print_some(lines)
