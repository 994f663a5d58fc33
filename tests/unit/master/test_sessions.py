"""Sessions: numbers of links, and who speaks for whom."""

from master.sessions import Seats, Sessions
from protocol.ids import AgentId
from tests.unit.master.links import RecordedLink

A1, A2 = AgentId("a1"), AgentId("a2")


def test_seat_goes_to_the_newest_link() -> None:
    seats: Seats[AgentId] = Seats()
    first, second = RecordedLink(), RecordedLink()
    assert seats.take(A1, first) is None
    assert seats.take(A1, second) is first
    assert seats.link_of(A1) is second


def test_seat_is_not_freed_by_the_link_that_lost_it() -> None:
    seats: Seats[AgentId] = Seats()
    first, second = RecordedLink(), RecordedLink()
    seats.take(A1, first)
    seats.take(A1, second)
    assert seats.leave(first) is None
    assert seats.link_of(A1) is second


def test_seat_taken_twice_by_one_link_displaces_nobody() -> None:
    seats: Seats[AgentId] = Seats()
    link = RecordedLink()
    seats.take(A1, link)
    assert seats.take(A1, link) is None
    assert seats.id_of(link) == A1


def test_link_speaks_for_one_id_at_a_time() -> None:
    seats: Seats[AgentId] = Seats()
    link = RecordedLink()
    seats.take(A1, link)
    seats.take(A2, link)
    assert seats.link_of(A1) is None
    assert (len(seats), seats.id_of(link)) == (1, A2)


def test_sessions_never_reuse_a_number() -> None:
    sessions = Sessions()
    first, second = RecordedLink(), RecordedLink()
    number = sessions.open(first)
    assert sessions.close(first) == number
    assert sessions.open(second) != number
    assert sessions.link_of(number) is None


def test_sessions_free_the_seats_of_a_link_that_is_gone() -> None:
    sessions = Sessions()
    link = RecordedLink()
    sessions.open(link)
    sessions.agents.take(A1, link)
    sessions.close(link)
    assert sessions.agents.link_of(A1) is None
