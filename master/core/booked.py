"""Booked: which part of an agent a booking takes, and when."""

from collections.abc import Iterator

from master.allocator.tree import is_within
from master.core.holdings import BOOKED, children_of
from master.core.records import Agent
from master.core.state import State
from protocol.messages.values import Announcement, Booking
from protocol.resources import EMPTY, KINDS, Resources

MILLION = 1_000_000
MIB = 1 << 20  # a share of memory or disk is a whole number of these
WAITING, ANNOUNCED, OPEN, OVER = "waiting", "announced", "open", "over"


def phase_of(booking: Booking, now_ns: int) -> str:
    """Return whether its window is open, announced, far away, or over."""
    if booking.end_ns and now_ns >= booking.end_ns:
        return OVER
    if now_ns >= booking.begin_ns:
        return OPEN
    return ANNOUNCED if now_ns >= booking.begin_ns - booking.lead_ns else WAITING


def next_turn_ns(booking: Booking, now_ns: int) -> int | None:
    """Return when its phase changes next, None when it does not."""
    turns = (booking.begin_ns - booking.lead_ns, booking.begin_ns, booking.end_ns)
    return min((turn for turn in turns if turn > now_ns), default=None)


def concerns(booking: Booking, agent: Agent) -> bool:
    """Whether a booking is of this agent: it has all the attributes."""
    return all(each in agent.attributes for each in booking.attributes)


def wanted_of(booking: Booking, agent: Agent) -> Resources:
    """Return what a booking takes of an agent, as far as the agent has it."""
    if not booking.share_millionths:
        return booking.resources & agent.total
    shares: dict[str, int] = {}
    for name, amount in agent.total.scalars.items():
        share = amount * booking.share_millionths // MILLION
        if KINDS.get(name) == "size" and share > MIB:
            share -= share % MIB
        if share:
            shares[name] = share
    return Resources(shares)


def name_of(booking: Booking) -> str:
    """Return what its reservations are called."""
    return BOOKED + booking.id


def booked_of(agent: Agent, name: str) -> Resources:
    """Return what is in the reservation of a booking, and in those refined out of it."""
    known = agent.reservations.get(name)
    total = EMPTY if known is None else known.resources
    for child in children_of(agent.reservations, name):
        total = total + booked_of(agent, child.id)
    return total


def bookings_of(state: State, agent: Agent, now_ns: int) -> Iterator[Booking]:
    """Return the bookings of an agent that are announced or open."""
    for booking in state.bookings.values():
        if phase_of(booking, now_ns) in (ANNOUNCED, OPEN) and concerns(booking, agent):
            yield booking


def announcements_of(state: State, agent: Agent, role: str) -> tuple[Announcement, ...]:
    """Return what others than the role will have of an agent soon, or have."""
    return tuple(
        Announcement(each.role, wanted_of(each, agent), each.begin_ns, each.end_ns)
        for each in bookings_of(state, agent, state.now_ns)
        if not is_within(role, each.role)
    )
