"""Reservations under abuse: bounded in number, in size, and in what they cost everybody else."""

from master.core.agents import RegisterAgent
from master.core.bookings import SetBooking
from master.core.effects import SendOffers
from master.core.frameworks import SubscribeFramework
from master.core.holdings import PARTS_TOLD_MAX
from master.core.offers import AcceptOffers
from master.core.operations import ReconcileOperations
from master.core.reasons import Reason
from master.core.reservations import ReserveByOperator
from master.core.settings import SECOND_NS, Settings
from master.core.snapshot import dump, load
from protocol.codecs.framework import encode_framework_message
from protocol.decision import Refused
from protocol.ids import FrameworkId
from protocol.messages.framework import Accept, CreateVolume, Offers, Operation, Reserve
from protocol.messages.values import Booking, Label
from protocol.resources import Resources, parse_resources
from tests.unit.master.leader import Leader, offers_of, registration, subscription

F1 = FrameworkId("fw-1")
FRAME_BYTES_MAX = 1 << 20


def leader(resources: str = "cpus:200;mem:200GiB;disk:1TiB;ports:[1-60000]") -> Leader:
    leader = Leader()
    leader.submit(RegisterAgent(registration("a1", resources), "p", 1))
    leader.submit(SubscribeFramework(subscription("web"), "p", 2))
    leader.advance(SECOND_NS)
    return leader


def accept(leader: Leader, *operations: Operation) -> object:
    offers = tuple(offers_of(leader))
    return leader.submit(AcceptOffers(F1, Accept(1, offers, operations)))


def reserve(number: int, **fields: object) -> Reserve:
    resources = parse_resources("cpus:0.001")
    return Reserve("", f"n{number}", "web", resources, **fields)  # type: ignore[arg-type]


def refusal(outcome: object) -> Reason:
    assert isinstance(outcome, Refused), outcome
    reason = outcome.reason
    assert isinstance(reason, Reason)
    return reason


def test_agent_has_so_many_reservations_and_no_more() -> None:
    most = Settings().agent_reservations_max
    cluster = leader()
    assert refusal(accept(cluster, *map(reserve, range(most + 1)))) is Reason.TOO_MANY
    assert not isinstance(accept(cluster, *map(reserve, range(most))), Refused)
    one_more = ReserveByOperator("a1", reserve(most))
    assert refusal(cluster.submit(one_more)) is Reason.TOO_MANY


def test_label_bombs_are_refused() -> None:
    cluster = leader()
    labels = tuple(Label(f"k{n}", "v" * 100) for n in range(20))
    assert refusal(accept(cluster, reserve(1, labels=labels))) is Reason.TOO_MANY
    booking = Booking("b", "web", 1, labels=labels)
    assert refusal(cluster.submit(SetBooking(booking))) is Reason.TOO_MANY


def test_resources_in_crumbs_are_refused() -> None:
    cluster = leader()
    ports = tuple((port, port) for port in range(1, 2001, 2))
    crumbs = Reserve("", "crumbs", "web", Resources(ranges={"ports": ports}))
    assert refusal(accept(cluster, crumbs)) is Reason.TOO_MANY


def test_offer_of_an_agent_that_is_reserved_to_the_limit_fits_in_a_frame() -> None:
    cluster = leader()
    most = Settings().agent_reservations_max
    steps = []
    for number in range(most):
        first = 1 + number * 512
        ports = tuple((first + 2 * n, first + 2 * n) for n in range(PARTS_TOLD_MAX))
        held = Resources({"cpus": 1}, {"ports": ports})
        label = (Label("k", "v" * 1000),)
        steps.append(Reserve("", f"n{number}", "web", held, labels=label))
    before = len(cluster.outcomes)
    assert not isinstance(accept(cluster, *steps), Refused)
    cluster.advance(SECOND_NS)
    sent = [
        effect
        for outcome in cluster.outcomes[before:]
        if not isinstance(outcome, Refused)
        for effect in outcome.effects
        if isinstance(effect, SendOffers)
    ]
    (offer,) = sent[-1].offers
    assert len(offer.reserved) == most
    assert len(encode_framework_message(Offers((offer,)))) < FRAME_BYTES_MAX
    assert load(dump(cluster.state)).agents == cluster.state.agents


def test_operations_that_nobody_acknowledges_are_bounded() -> None:
    most = Settings().framework_operations_max
    cluster = leader()
    for first in range(0, most, 50):
        renewals = (
            Reserve(f"op{n}", "one", "web", reserve(0).resources) for n in range(first, first + 50)
        )
        assert not isinstance(accept(cluster, *renewals), Refused)
        cluster.advance(6 * SECOND_NS)
    assert refusal(accept(cluster, reserve(1), CreateVolume("more", "v", "n1", 1))) in (
        Reason.TOO_MANY,
        Reason.OVER_CLAIMED,
    )
    asked = cluster.submit(ReconcileOperations(F1, ()))
    assert not isinstance(asked, Refused)
    assert len(cluster.state.frameworks[F1].operations) == most
