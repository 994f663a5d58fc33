"""Views as tables: which columns they have, and what is in them."""

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from master.ctl.objects import BYTES, PLAIN, is_exited
from protocol.messages.operator import (
    AgentView,
    BookingView,
    FrameworkView,
    MasterView,
    OfferView,
    PolicyView,
    QuotaView,
    ReservationView,
    RoleView,
    TaskView,
    VolumeView,
    WindowView,
)
from protocol.messages.values import Quantity, TaskReason
from protocol.resources import Resources, format_amount, format_resources
from protocol.states import TERMINAL
from protocol.tables import Column, tabulate
from rlog.spaces.views import SpaceView

AMOUNT_CHARS_MAX = 7
STYLES = {
    "RUNNING": "green",
    "FINISHED": "blue",
    "STAGING": "yellow",
    "STARTING": "yellow",
    "KILLING": "yellow",
    "FAILED": "red",
    "ERROR": "red",
    "LOST": "red",
    "UNREACHABLE": "red",
    "leader": "green",
    "learner": "yellow",
    "no member": "red",
    "removed": "red",
    "connected": "green",
    "unreachable": "red",
    "disconnected": "yellow",
    "left": "blue",
    "draining": "yellow",
    "drained": "blue",
    "deactivated": "yellow",
    "ending": "yellow",
    "open": "green",
    "announced": "yellow",
    "READY": "green",
    "CREATING": "yellow",
    "RESIZING": "yellow",
    "DESTROYING": "yellow",
}

# Of tasks that ended without an exit code; short, for a column among others.
REASONS = {
    TaskReason.KILLED_BY_FRAMEWORK: "killed",
    TaskReason.KILLED_BY_OPERATOR: "killed",
    TaskReason.FRAMEWORK_REMOVED: "killed",
    TaskReason.LAUNCH_FAILED: "launch",
    TaskReason.FETCH_FAILED: "fetch",
    TaskReason.INVALID_TASK: "invalid",
    TaskReason.AGENT_UNREACHABLE: "lost",
    TaskReason.AGENT_FORGOT: "lost",
    TaskReason.SUPERVISOR_LOST: "lost",
    TaskReason.AGENT_RESTARTED: "reboot",
    TaskReason.AGENT_REMOVED: "removed",
    TaskReason.AGENT_DRAINING: "drain",
    TaskReason.AGENT_GONE: "gone",
    TaskReason.COMPLETION_TIME: "time",
    TaskReason.PREEMPTED: "preempt",
}


def format_age(age_ns: int) -> str:
    """Return a duration with one unit: 42s, 17m, 3h, 12d."""
    seconds = max(age_ns, 0) // 1_000_000_000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def format_when(from_now_ns: int) -> str:
    """Return a time as people think of it: in 3h, 17m ago."""
    age = format_age(abs(from_now_ns))
    return f"in {age}" if from_now_ns > 0 else f"{age} ago"


def size(size_bytes: int) -> str:
    """Return a number of bytes as people write it."""
    return amount(Resources({"disk": size_bytes}), "disk")


def amount(resources: Resources, name: str) -> str:
    """Return a scalar as people write it; sizes that are odd numbers of bytes are rounded."""
    found = resources.scalars.get(name, 0)
    if not found:
        return "-"
    exact = format_amount(name, found)
    if name not in BYTES or len(exact) <= AMOUNT_CHARS_MAX:
        return exact
    for power, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB")):
        if found >= 1 << power:
            return f"{found / (1 << power):.1f}{unit}"
    return exact


def quantities(listed: Sequence[Quantity]) -> str:
    """Return amounts one below the other."""
    parts = (f"{each.name}:{format_amount(each.name, each.amount)}" for each in listed)
    return "\n".join(parts) or "-"


def items(resources: Resources) -> str:
    """Return resources one below the other."""
    return format_resources(resources).replace(";", "\n") or "-"


def ends(at_ns: int, now_ns: int) -> str:
    """Return in how long something ends."""
    return format_age(at_ns - now_ns) if at_ns else "never"


def turns(view: BookingView, now_ns: int) -> str:
    """Return in how long a booking's window opens or closes."""
    booking = view.booking
    return ends(booking.end_ns if booking.begin_ns <= now_ns else booking.begin_ns, now_ns)


def used(part: Resources, total: Resources, name: str) -> str:
    """Return "used/total" of one resource."""
    return f"{amount(part, name).replace('-', '0')}/{amount(total, name)}"


def exit_of(view: TaskView) -> str:
    """Return how the task ended: the command's exit code or signal, else one word why."""
    status = view.status
    if status.reason == TaskReason.MEMORY_LIMIT:
        return "memory"
    if status.reason == TaskReason.PREEMPTED:
        return REASONS[status.reason]
    if status.signal:
        return f"sig {status.signal}"
    if is_exited(view):
        return str(status.exit_code)
    return REASONS.get(status.reason, "-") if status.state in TERMINAL else "-"


def state_of(view: AgentView) -> str:
    """Return whether an agent is there, and if so what operators made of it."""
    is_special = view.state == "connected" and view.duty not in ("", "active")
    return view.duty if is_special else view.state


def isolation_of(view: AgentView) -> str:
    """Return the names of what the agent enforces, without their particulars."""
    return " ".join(part.split(":")[0] for part in view.isolation) or "none"


def role_of(view: MasterView) -> str:
    """Return what a master is now, and whether it belongs at all."""
    if not view.is_reachable:
        return "unreachable"
    if view.role == "follower" and view.member != "voter":
        return view.member or "no member"
    return view.role


def weight(milli: int) -> str:
    return f"{milli / 1000:.3f}".rstrip("0").rstrip(".")


def share(view: RoleView) -> str:
    percent = f"{view.dominant_share_millionths / 10_000:.1f}%"
    return f"{percent} {view.dominant_resource}" if view.dominant_resource else percent


COLUMNS: dict[type, tuple[Column, ...]] = {
    TaskView: (
        Column("TASK", lambda v, _: f"{v.status.framework_id}/{v.status.task_id}", shrinks=True),
        Column("STATE", lambda v, _: v.status.state.name),
        Column("EXIT", lambda v, _: exit_of(v), is_number=True),
        Column("AGENT", lambda v, _: v.status.agent_id, shrinks=True),
        Column("PID", lambda v, _: str(v.status.pid or "-"), is_number=True),
        Column("CPUS", lambda v, _: amount(v.description.resources, "cpus"), is_number=True),
        Column("MEM", lambda v, _: amount(v.description.resources, "mem"), is_number=True),
        Column("AGE", lambda v, now: format_age(now - v.launched_ns), is_number=True),
    ),
    AgentView: (
        Column("AGENT", lambda v, _: v.agent_id, shrinks=True),
        Column("STATE", lambda v, _: state_of(v)),
        Column("TASKS", lambda v, _: str(v.tasks), is_number=True),
        Column("CPUS", lambda v, _: used(v.allocated, v.total, "cpus"), is_number=True),
        Column("MEM", lambda v, _: used(v.allocated, v.total, "mem"), is_number=True),
        Column("ISOLATION", lambda v, _: isolation_of(v), shrinks=True),
    ),
    FrameworkView: (
        Column("ID", lambda v, _: v.framework_id, shrinks=True),
        Column("NAME", lambda v, _: v.name, shrinks=True),
        Column("STATE", lambda v, _: v.state),
        Column("ROLES", lambda v, _: ",".join(v.roles), shrinks=True),
        Column("TASKS", lambda v, _: str(v.tasks), is_number=True),
        Column("OFFERS", lambda v, _: str(v.offers), is_number=True),
        Column("CPUS", lambda v, _: amount(v.allocated, "cpus"), is_number=True),
        Column("MEM", lambda v, _: amount(v.allocated, "mem"), is_number=True),
    ),
    OfferView: (
        Column("OFFER", lambda v, _: v.offer_id),
        Column("FRAMEWORK", lambda v, _: v.framework_id, shrinks=True),
        Column("ROLE", lambda v, _: v.role, shrinks=True),
        Column("AGENT", lambda v, _: v.agent_id, shrinks=True),
        Column("CPUS", lambda v, _: amount(v.resources, "cpus"), is_number=True),
        Column("MEM", lambda v, _: amount(v.resources, "mem"), is_number=True),
        Column("AGE", lambda v, now: format_age(now - v.made_ns), is_number=True),
    ),
    RoleView: (
        Column("ROLE", lambda v, _: v.role, shrinks=True),
        Column("WEIGHT", lambda v, _: weight(v.weight_milli), is_number=True),
        Column("SHARE", lambda v, _: share(v), is_number=True),
        Column("FRAMEWORKS", lambda v, _: str(v.frameworks), is_number=True),
        Column("CPUS", lambda v, _: amount(v.allocated, "cpus"), is_number=True),
        Column("MEM", lambda v, _: amount(v.allocated, "mem"), is_number=True),
        Column("WAITING", lambda v, _: str(v.wanted_tasks or "-"), is_number=True),
    ),
    QuotaView: (
        Column("ROLE", lambda v, _: v.role, shrinks=True),
        Column("GUARANTEE", lambda v, _: quantities(v.guarantee)),
        Column("LIMIT", lambda v, _: quantities(v.limit)),
        Column("USED", lambda v, _: quantities(v.used)),
    ),
    ReservationView: (
        Column("AGENT", lambda v, _: v.agent_id, shrinks=True),
        Column("NAME", lambda v, _: v.reservation.id, shrinks=True),
        Column("ROLE", lambda v, _: v.reservation.role, shrinks=True),
        Column("STATE", lambda v, _: v.state),
        Column("RESERVED", lambda v, _: items(v.reservation.resources)),
        Column("IN USE", lambda v, _: items(v.allocated)),
        Column("ENDS", lambda v, now: ends(v.reservation.expires_ns, now), is_number=True),
    ),
    PolicyView: (
        Column("ROLE", lambda v, _: v.role, shrinks=True),
        Column("LEAST", lambda v, _: quantities(v.least)),
        Column("RECLAIMS", lambda v, _: "yes" if v.reclaims else "-"),
        Column("SHARERS", lambda v, _: "open" if v.is_open else str(v.sharers), is_number=True),
    ),
    BookingView: (
        Column("BOOKING", lambda v, _: v.booking.id, shrinks=True),
        Column("ROLE", lambda v, _: v.booking.role, shrinks=True),
        Column("STATE", lambda v, _: v.state),
        Column("AGENTS", lambda v, _: str(v.agents), is_number=True),
        Column("CPUS", lambda v, _: used(v.reserved, v.wanted, "cpus"), is_number=True),
        Column("MEM", lambda v, _: used(v.reserved, v.wanted, "mem"), is_number=True),
        Column("TURNS IN", turns, is_number=True),
    ),
    VolumeView: (
        Column("AGENT", lambda v, _: v.agent_id, shrinks=True),
        Column("VOLUME", lambda v, _: v.volume.id, shrinks=True),
        Column("ROLE", lambda v, _: v.volume.role, shrinks=True),
        Column("STATE", lambda v, _: v.volume.state.name),
        Column("SIZE", lambda v, _: size(v.volume.size_bytes), is_number=True),
        Column("SHARED", lambda v, _: "yes" if v.volume.is_shared else "no"),
        Column("USED BY", lambda v, _: "\n".join(v.tasks) or "-", shrinks=True),
    ),
    WindowView: (
        Column("WINDOW", lambda v, _: v.name, shrinks=True),
        Column("STATE", lambda v, _: "open" if v.is_begun else "scheduled"),
        Column("START", lambda v, now: format_when(v.start_ns - now), is_number=True),
        Column(
            "END", lambda v, now: format_when(v.end_ns - now) if v.end_ns else "-", is_number=True
        ),
        Column("DRAINED", lambda v, _: f"{v.drained}/{v.agents}", is_number=True),
        Column("TASKS", lambda v, _: str(v.tasks), is_number=True),
        Column("ASKED", lambda v, _: str(v.asked), is_number=True),
        Column("YES", lambda v, _: str(v.accepted), is_number=True),
        Column("NO", lambda v, _: str(v.declined), is_number=True),
    ),
    SpaceView: (
        Column("SPACE", lambda v, _: v.space, shrinks=True),
        Column("OWNER", lambda v, _: v.owner or "-", shrinks=True),
        Column("REVISION", lambda v, _: str(v.revision), is_number=True),
        Column("KEYS", lambda v, _: str(v.keys), is_number=True),
        Column("BYTES", lambda v, _: str(v.size_bytes), is_number=True),
        Column("LEASES", lambda v, _: str(v.leases), is_number=True),
        Column("JOURNALS", lambda v, _: str(v.journals), is_number=True),
    ),
    MasterView: (
        Column("MASTER", lambda v, _: v.address, shrinks=True),
        Column("ROLE", lambda v, _: role_of(v)),
        Column("TERM", lambda v, _: _known(v, v.term), is_number=True),
        Column("COMMITTED", lambda v, _: _known(v, v.committed), is_number=True),
        Column("APPLIED", lambda v, _: _known(v, v.applied), is_number=True),
        Column("LAG", lambda v, _: str(v.lag) if v.member else "-", is_number=True),
        Column("VERSION", lambda v, _: v.version or "-"),
    ),
}


def _known(view: MasterView, number: int) -> str:
    return str(number) if view.is_reachable else "-"


def show(console: Console, kind: type, views: Sequence[Any], form: str, now_ns: int) -> None:
    """Print views of one kind as `form`: "table" or "json"."""
    if form == "json":
        console.file.write(json.dumps([PLAIN[kind](view) for view in views], indent=2) + "\n")
        return
    columns = COLUMNS[kind]
    rows = [[column.cell(view, now_ns) for column in columns] for view in views]
    console.print(tabulate(columns, rows, console.width, STYLES))
