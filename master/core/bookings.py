"""Bookings: standing orders to reserve, kept true as agents come and go and as time passes.

A booking makes one reservation of each agent that it concerns, and gives it what it lacks as soon
as that is free. While it is announced it takes only what nobody has; while its window is open it
takes back offers, too, and if it may it kills tasks.
"""

from dataclasses import dataclass, replace
from itertools import islice

from master.core.alarms import AlarmKind
from master.core.booked import (
    OPEN,
    OVER,
    booked_of,
    bookings_of,
    concerns,
    name_of,
    next_turn_ns,
    phase_of,
    wanted_of,
)
from master.core.draft import Draft, Outcome, Said
from master.core.events import (
    BookingRemoved,
    BookingSet,
    ResourcesReserved,
    ResourcesUnreserved,
)
from master.core.holdings import BOOKED, check_quotas, check_told
from master.core.offers import close_offers
from master.core.reasons import Reason
from master.core.records import Agent, part_of
from master.core.reservations import draft_ending, offers_of
from master.core.rivals import group_of
from master.core.settings import Settings
from master.core.soft import OfferMade
from master.core.state import State, free_of, idle_of
from master.core.tasks import want_dead
from master.core.touched import BookingsSeen, BookingsTouched
from master.core.validity import (
    check_count,
    check_duration,
    check_labels,
    check_reservable,
    check_resources,
)
from master.core.windows import check_cron, window_at
from protocol.decision import Refused
from protocol.ids import check_id
from protocol.messages.values import Booking, Reservation, TaskReason
from protocol.resources import EMPTY, Resources, format_resources, sum_resources

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class SetBooking:
    """Book, or change what is booked under this name; replied to with `Said`."""

    booking: Booking
    principal: str = ""


@dataclass(frozen=True, slots=True)
class RemoveBooking:
    """Book this no more; its reservations end as their tasks do."""

    booking_id: str


def decide_booking(state: State, command: SetBooking, now_ns: int, settings: Settings) -> Outcome:
    """Remember it, and have all agents looked at.

    Refuses: BAD_ID, BAD_ROLE, BAD_RESOURCES, BAD_NAME, BAD_DURATION, BAD_BOOKING, TOO_MANY.
    """
    booking = replace(command.booking, principal=command.principal)
    if refused := _check(booking, now_ns, settings):
        return refused
    known = state.bookings.get(booking.id)
    if known is None:
        refused = check_count("bookings", len(state.bookings) + 1, settings.bookings_max)
    elif known.role != booking.role:
        text = f"booking {booking.id} is for role {known.role}; remove it, or use another name"
        refused = Refused(Reason.BAD_BOOKING, text)
    if refused:
        return refused
    if booking.cron:
        begin_ns, end_ns = window_at(booking.cron, booking.duration_ns, now_ns)
        booking = replace(booking, begin_ns=begin_ns, end_ns=end_ns)
    draft = Draft(now_ns, settings)
    draft.events.append(BookingSet(booking))
    _await_turn(draft, booking)
    draft.soft.append(BookingsTouched(now_ns))
    agents = [each for each in state.agents.values() if concerns(booking, each)]
    whole = sum_resources(wanted_of(booking, each) for each in agents)
    what = format_resources(Resources(whole.scalars)) or "nothing yet"
    of = f"{len(agents)} agent{'' if len(agents) == 1 else 's'}"
    text = f"booking {booking.id}: {what} of {of} for {booking.role}"
    return draft.decision(Said(text))


def decide_no_booking(
    state: State, command: RemoveBooking, now_ns: int, settings: Settings
) -> Outcome:
    """Forget it, and let go of what it reserved. Refuses: UNKNOWN_BOOKING."""
    if command.booking_id not in state.bookings:
        return Refused(Reason.UNKNOWN_BOOKING, f"there is no booking {command.booking_id[:140]!r}")
    draft = Draft(now_ns, settings)
    draft.events.append(BookingRemoved(command.booking_id))
    draft.soft.append(BookingsTouched(now_ns))
    return draft.decision(Said(f"booking {command.booking_id}: removed"))


def ring_booking_turns(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    """Begin what is due of a booking; after its last window it is forgotten."""
    booking = state.bookings.get(key[0])
    if booking is None:
        return
    if phase_of(booking, draft.now_ns) == OVER:
        if not booking.cron:
            draft.events.append(BookingRemoved(booking.id))
            draft.soft.append(BookingsTouched(draft.now_ns))
            return
        begin_ns, end_ns = window_at(booking.cron, booking.duration_ns, draft.now_ns)
        booking = replace(booking, begin_ns=begin_ns, end_ns=end_ns)
        draft.events.append(BookingSet(booking))
    _await_turn(draft, booking)
    draft.soft.append(BookingsTouched(draft.now_ns))


def ring_bookings_due(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    """Look at some agents that something has happened to, and at the others in the next turn."""
    lent = {each.offer.agent_id for each in draft.soft if isinstance(each, OfferMade)}
    seen = [
        agent_id
        for agent_id in islice(state.soft.unbooked, draft.settings.look_agents_max)
        if agent_id not in lent  # the pass of this turn may have taken what is free
    ]
    draft.soft.append(BookingsSeen(tuple(seen)))  # before what has them looked at again
    for agent_id in seen:
        agent = state.agents.get(agent_id)
        if agent is not None and not agent.is_unreachable:
            _Look(draft, state, agent).see()
    if len(seen) < len(state.soft.unbooked):
        draft.alarm(AlarmKind.BOOKINGS_DUE, (), 0)


def await_bookings(draft: Draft, state: State) -> None:
    """Have a new leader look at everything that is booked, and wake up in time."""
    for booking in state.bookings.values():
        draft.alarm(AlarmKind.BOOKING_TURNS, (booking.id,), 0)


def apply_booking_set(state: State, event: BookingSet) -> None:
    state.bookings[event.booking.id] = event.booking


def apply_booking_removed(state: State, event: BookingRemoved) -> None:
    del state.bookings[event.booking_id]


class _Look:
    """One agent, and what is still free of it while its bookings take their parts."""

    def __init__(self, draft: Draft, state: State, agent: Agent) -> None:
        self._draft = draft
        self._state = state
        self._agent = agent
        self._free = free_of(state, agent)
        self._lent = [
            each
            for each in offers_of(state, agent)
            if each.id not in draft.closed and not each.rival_of
        ]

    def see(self) -> None:
        """Let go of what is not booked any more, and take what is."""
        now_ns = self._draft.now_ns
        standing = {name_of(each): each for each in bookings_of(self._state, self._agent, now_ns)}
        for name, known in tuple(self._agent.reservations.items()):
            if name.startswith(BOOKED) and name not in standing and not known.is_ending:
                draft_ending(self._draft, self._state, self._agent, known)
                self._draft.touch(self._agent.id)
                return  # the rest when that is done
        for name, booking in standing.items():
            known_ = self._agent.reservations.get(name)
            if known_ is None or not known_.is_ending:
                self._fulfil(name, booking)

    def _fulfil(self, name: str, booking: Booking) -> None:
        wanted, has = wanted_of(booking, self._agent), booked_of(self._agent, name)
        if surplus := has - (has & wanted):
            idle = idle_of(self._state, self._agent).get(name, EMPTY) & surplus
            if idle:
                self._draft.events.append(ResourcesUnreserved(self._agent.id, name, idle))
                self._draft.touch(self._agent.id)
        lacking = wanted - (wanted & has)
        if not lacking or check_quotas(self._state, booking.role, lacking):
            return
        is_open = phase_of(booking, self._draft.now_ns) == OPEN
        taken = self._take(lacking, is_open=is_open)
        if taken:
            told = Reservation(
                id=name,
                role=booking.role,
                resources=taken,
                principal=booking.principal,
                labels=booking.labels,
                is_kept=True,
            )
            self._draft.events.append(ResourcesReserved(self._agent.id, told))
            self._draft.touch(self._agent.id)
        if is_open and booking.is_killing and (rest := lacking - taken):
            self._kill(rest)

    def _take(self, lacking: Resources, *, is_open: bool) -> Resources:
        """Return what is free of what is lacking, or can be taken back."""
        while is_open and not self._free.contains(lacking) and self._lent:
            offer = self._lent.pop()
            if offer.unreserved & lacking:
                offers = [each.id for each in group_of(self._state, offer)]
                close_offers(self._draft, self._state, offers, is_told=True)
                self._free = self._free + offer.unreserved
        taken = self._free & lacking
        self._free = self._free - taken
        return taken

    def _kill(self, rest: Resources) -> None:
        """End the newest tasks that use what is lacking, and no more of them than needed."""
        tasks = [self._state.tasks[key] for key in self._agent.tasks]
        tasks.sort(key=lambda task: (task.kill is None, -task.launch))
        for task in tasks:
            used = part_of(task.resources, task.draws, "") & rest
            if used:
                rest = rest - used
                if task.kill is None:
                    want_dead(self._draft, self._state, task, TaskReason.KILLED_BY_OPERATOR, 0)
            if not rest:
                return


def _check(booking: Booking, now_ns: int, settings: Settings) -> Refused | None:
    if fault := check_id(booking.id):
        return Refused(Reason.BAD_ID, f"booking {booking.id[:140]!r}: {fault}")
    refused = (
        check_reservable(booking.role)
        or check_resources(f"booking {booking.id}", booking.resources)
        or check_labels(booking.labels)
        or check_told(f"booking {booking.id}", booking.labels, booking.resources)
        or check_labels(booking.attributes)
        or check_duration("the announcement of a booking", booking.lead_ns, settings.ttl_max_ns)
        or check_duration("a window of a booking", booking.duration_ns, settings.ttl_max_ns)
    )
    return refused or _check_terms(booking, now_ns)


def _check_terms(booking: Booking, now_ns: int) -> Refused | None:
    fault: str | None = None
    if booking.share_millionths > MILLION:
        fault = "it is for more than all of each agent"
    elif bool(booking.share_millionths) == bool(booking.resources):
        fault = "it names either a share of each agent, or resources of each"
    elif booking.cron:
        fault = check_cron(booking.cron)
        if fault is None and not booking.duration_ns:
            fault = "its windows have no length"
    elif booking.end_ns and booking.end_ns <= max(now_ns, booking.begin_ns):
        fault = "its end is not after its beginning and now"
    return Refused(Reason.BAD_BOOKING, f"booking {booking.id}: {fault}") if fault else None


def _await_turn(draft: Draft, booking: Booking) -> None:
    turn_ns = next_turn_ns(booking, draft.now_ns)
    if turn_ns is not None:
        draft.alarm(AlarmKind.BOOKING_TURNS, (booking.id,), turn_ns - draft.now_ns)
