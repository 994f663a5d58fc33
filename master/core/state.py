"""The whole of what a master knows: durable records, and the leader's soft state beside them."""

from dataclasses import dataclass, field

from master.allocator.allocate import Ledger
from master.allocator.demand import Demand
from master.allocator.rations import Quota
from master.allocator.tree import WEIGHT_MILLI
from master.core.alarms import AlarmKind
from master.core.asked import Asked
from master.core.reasons import Reason
from master.core.records import (
    Agent,
    BackOff,
    Declaration,
    Framework,
    Observer,
    Offer,
    Policy,
    Reclaim,
    Refusal,
    Task,
    Unavailability,
    Window,
    Zone,
)
from protocol.decision import Refused
from protocol.ids import AgentId, FrameworkId, OfferId, TaskKey
from protocol.messages.framework import OfferFilter
from protocol.messages.values import Booking
from protocol.resources import Resources, sum_resources
from rlog.spaces.alarms import Alarms
from rlog.spaces.records import Spaces
from rlog.versions import FIRST


@dataclass(slots=True)
class Soft:
    """Known to the leader alone, never logged, gone with its leadership."""

    is_leading: bool = False
    offers: dict[OfferId, Offer] = field(default_factory=dict)  # oldest first
    offers_made: int = 0
    offers_taken: int = 0  # that were shared, and accepted by somebody else
    rivals: dict[OfferId, dict[OfferId, None]] = field(default_factory=dict)  # by whose is lent
    taken: dict[OfferId, None] = field(default_factory=dict)  # the newest of those
    offers_by_agent: dict[AgentId, dict[OfferId, None]] = field(default_factory=dict)
    offers_by_framework: dict[FrameworkId, dict[OfferId, None]] = field(default_factory=dict)
    offered: dict[FrameworkId, dict[str, dict[str, int]]] = field(default_factory=dict)  # by role
    drawn: dict[str, dict[str, int]] = field(default_factory=dict)  # of `offered`, what is reserved
    refusals: dict[FrameworkId, dict[tuple[str, AgentId], Refusal]] = field(default_factory=dict)
    agent_links: dict[AgentId, int] = field(default_factory=dict)
    resizers: dict[AgentId, None] = field(default_factory=dict)  # linked, and able to resize
    framework_links: dict[FrameworkId, int] = field(default_factory=dict)
    touched: dict[AgentId, None] = field(default_factory=dict)  # to be looked at by the next pass
    unbooked: dict[AgentId, None] = field(default_factory=dict)  # to be looked at for bookings
    withheld: dict[AgentId, None] = field(default_factory=dict)  # looked at again by each pass
    idle: dict[AgentId, Resources] = field(default_factory=dict)  # what the last pass left of them
    demands: dict[FrameworkId, dict[str, Demand]] = field(default_factory=dict)  # by role
    filters: dict[FrameworkId, tuple[OfferFilter, ...]] = field(default_factory=dict)
    reclaims: dict[TaskKey, Reclaim] = field(default_factory=dict)  # until they have ended
    placements_made: int = 0  # of transactions, by this leader
    placements_lost: int = 0  # to conflicts
    observers: dict[tuple[FrameworkId, str], Observer] = field(default_factory=dict)  # by role
    versions: dict[AgentId, int] = field(default_factory=dict)  # while anybody observes
    back_offs: dict[FrameworkId, dict[str, BackOff]] = field(default_factory=dict)  # by role
    ledger: Ledger | None = None  # standings, while nobody joins, leaves or changes weight
    overdue: dict[AgentId, None] = field(default_factory=dict)  # to be given up, in this order
    asked: Asked = field(default_factory=Asked)
    held: tuple[Zone, ...] = ()  # when it was last looked at
    removals_counted_ns: int = 0  # how far in time those given up reach, one for each interval
    alarms: Alarms[AlarmKind] = field(default_factory=Alarms)


@dataclass(slots=True)
class State:
    """Everything but `soft` is a fold of the log."""

    now_ns: int = 0  # wall time of the newest events, set by the loop
    version: int = FIRST  # of the log: the highest of its entries
    origin: str = ""  # tells this cluster from others of its name; kept over recoveries
    term: int = 0
    leader: str = ""
    leaderships: int = 0  # one term may be taken over more than once
    taken_over_ns: int = 0
    frameworks_next: int = 1
    launches_next: int = 1
    volumes_next: int = 1
    frameworks: dict[FrameworkId, Framework] = field(default_factory=dict)
    tokens: dict[str, FrameworkId] = field(default_factory=dict)
    agents: dict[AgentId, Agent] = field(default_factory=dict)
    gone: dict[AgentId, Declaration] = field(default_factory=dict)  # oldest first
    tasks: dict[TaskKey, Task] = field(default_factory=dict)  # not ended, or not acknowledged
    weights: dict[str, int] = field(default_factory=dict)  # role → thousandths, where not 1
    quotas: dict[str, Quota] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    allocated: dict[str, dict[str, int]] = field(default_factory=dict)  # role → quantities
    capacity: dict[str, int] = field(default_factory=dict)  # quantities of all reachable agents
    reserved: dict[str, dict[str, int]] = field(default_factory=dict)  # of `capacity`, by role
    drawn: dict[str, dict[str, int]] = field(
        default_factory=dict
    )  # of `allocated`, what is reserved
    counted: dict[str, None] = field(default_factory=dict)  # names of ranges and sets ever seen
    task_counts: dict[str, int] = field(default_factory=dict)  # state's name → tasks not ended
    ended_counts: dict[str, int] = field(default_factory=dict)  # state's name → tasks ever ended
    windows: dict[str, Window] = field(default_factory=dict)
    window_of: dict[AgentId, str] = field(default_factory=dict)
    guard_lifted_ns: int = 0  # until then any number of silent agents is given up
    bookings: dict[str, Booking] = field(default_factory=dict)
    spaces: Spaces = field(default_factory=Spaces)
    soft: Soft = field(default_factory=Soft)


def find_framework(state: State, framework_id: str) -> Framework | Refused:
    """Return the framework if it may act."""
    framework = state.frameworks.get(FrameworkId(framework_id))
    if framework is None:
        return Refused(Reason.UNKNOWN_FRAMEWORK, f"framework {framework_id!r} is not known")
    if framework.is_removed:
        text = f"framework {framework_id} was removed: {framework.removal}"
        return Refused(Reason.FRAMEWORK_REMOVED, text)
    return framework


def weight_of(state: State, role: str) -> int:
    """Return the role's fair-share factor in thousandths."""
    return state.weights.get(role, WEIGHT_MILLI)


def held_by_role(state: State) -> dict[str, dict[str, int]]:
    """Return what the tasks of each role use and its frameworks are offered."""
    held = _copied(state.allocated)
    for by_role in state.soft.offered.values():
        for role, amounts in by_role.items():
            charge(held.setdefault(role, {}), amounts)
    return held


def charged_by_role(state: State, *, is_offered: bool = True) -> dict[str, dict[str, int]]:
    """Return what quotas count: all that is reserved for a role, and what else it has."""
    charged = held_by_role(state) if is_offered else _copied(state.allocated)
    if not state.reserved and not state.drawn and not state.soft.drawn:
        return charged
    for drawn in (state.drawn, state.soft.drawn if is_offered else {}):
        for role, amounts in drawn.items():
            credit(charged[role], amounts)
    for role, amounts in state.reserved.items():
        charge(charged.setdefault(role, {}), amounts)
    return charged


def shared_capacity(state: State) -> dict[str, int]:
    """Return what shares are shares of: all amounts, but not the numbers of ports and the like."""
    return {name: whole for name, whole in state.capacity.items() if name not in state.counted}


def _copied(accounts: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    return {role: dict(amounts) for role, amounts in accounts.items()}


def offered_of(state: State, agent_id: AgentId) -> Resources:
    """Return what is lent out of the agent."""
    offer_ids = state.soft.offers_by_agent.get(agent_id, ())
    offers = (state.soft.offers[offer_id] for offer_id in offer_ids)
    return sum_resources(offer.resources for offer in offers if not offer.rival_of)


def free_of(state: State, agent: Agent) -> Resources:
    """Return what is neither allocated nor offered of the agent, and for anybody."""
    free = agent.total - agent.allocated - offered_of(state, agent.id)
    if not agent.reservations:
        return free
    held = (Resources({"disk": volume.held_bytes}) for volume in agent.volumes.values())
    return free - sum_resources((*idle_of(state, agent).values(), *held))


def idle_of(state: State, agent: Agent) -> dict[str, Resources]:
    """Return what of each of the agent's reservations is in no task, offer or volume."""
    if not agent.reservations:
        return {}
    idle = {each.id: each.resources - each.allocated for each in agent.reservations.values()}
    for offer_id in state.soft.offers_by_agent.get(agent.id, ()):
        for draw in state.soft.offers[offer_id].draws:
            idle[draw.reservation] = idle[draw.reservation] - draw.resources
    for volume in agent.volumes.values():
        disk = Resources({"disk": volume.held_bytes})
        idle[volume.reservation] = idle[volume.reservation] - disk
    return idle


def unavailability_of(state: State, agent: Agent) -> Unavailability | None:
    """Return when the agent is going to be empty; None when nobody wants that."""
    window = state.windows.get(state.window_of.get(agent.id, ""))
    if agent.drain and not agent.drain.window:
        return Unavailability(agent.drain.kill_ns, 0)
    return Unavailability(window.start_ns, window.end_ns) if window else None


def charge(account: dict[str, int], amounts: dict[str, int]) -> None:
    """Add scalar amounts of one agent to an account that spans agents."""
    for name, amount in amounts.items():
        account[name] = account.get(name, 0) + amount


def charge_role(accounts: dict[str, dict[str, int]], role: str, amounts: dict[str, int]) -> None:
    """Add to a role's account; nothing opens none."""
    if amounts:
        charge(accounts.setdefault(role, {}), amounts)


def credit_role(accounts: dict[str, dict[str, int]], role: str, amounts: dict[str, int]) -> None:
    """Take off a role's account again; none remains that is empty."""
    if amounts:
        credit(accounts[role], amounts)
        if not accounts[role]:
            del accounts[role]


def credit(account: dict[str, int], amounts: dict[str, int]) -> None:
    """Take scalar amounts off an account again; nothing remains as zero."""
    for name, amount in amounts.items():
        left = account[name] - amount
        assert left >= 0, name
        if left:
            account[name] = left
        else:
            del account[name]
