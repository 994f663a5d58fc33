"""The master's side of spaces: whose they are, how often one may ask, when leases end."""

import asyncio

import pytest

from master.core.settings import SECOND_NS
from protocol.decision import Decision, Refused
from protocol.errors import Malformed
from protocol.messages.framework import Keep, Kept
from rlog.requests import BURST_S
from rlog.spaces.commands import ChangeSpace
from rlog.spaces.messages import (
    AcquireLease,
    Change,
    Fetch,
    Fetched,
    Leased,
    ReleaseLease,
    RenewLease,
    SpaceAnswer,
    SpaceRefused,
    SpaceRequest,
    Transact,
    Transacted,
)
from rlog.spaces.records import SpaceReason
from rlog.spaces_codec import decode_space_answer, encode_space_request
from tests.unit.master.leader import Leader
from tests.unit.master.links import RecordedLink
from tests.unit.master.test_handlers import REQUESTS_PER_S, Shell, play
from tests.unit.master.test_hostile import Victim, encode_keep

TTL_NS = 2 * SECOND_NS


def ask_space(shell: Shell, link: RecordedLink, request: SpaceRequest) -> None:
    shell.call(link, Keep(encode_space_request(request)))


def space_answers(link: RecordedLink) -> list[SpaceAnswer]:
    found = [each for each in link.to_framework if isinstance(each, Kept)]
    return [decode_space_answer(each.answer) for each in found]


def test_space_is_kept_for_the_principal_of_a_link_that_never_subscribed() -> None:
    link = RecordedLink("standby", "web-team")
    shell = Shell(outcomes={ChangeSpace: Transacted(5, 1)})

    def act(shell: Shell) -> None:
        shell.frameworks.connected(link)
        ask_space(shell, link, Transact(5, "s", changes=(Change("k", b"v"),)))
        ask_space(shell, link, Fetch(6, "s", ("k",)))

    play(act, shell)
    assert shell.submitted[-1].principal == "web-team"
    assert space_answers(link) == [Transacted(5, 1), Fetched(6, considered=1)]


def test_refusal_of_a_space_names_its_reason() -> None:
    link = RecordedLink("standby", "web-team")
    refused = Refused(SpaceReason.CONFLICT, "k has version 2, not 1")

    def act(shell: Shell) -> None:
        shell.frameworks.connected(link)
        ask_space(shell, link, Transact(5, "s"))

    play(act, Shell(outcomes={ChangeSpace: refused}))
    assert space_answers(link) == [SpaceRefused(5, "CONFLICT", "k has version 2, not 1")]


def test_requests_of_a_principal_over_its_rate_are_refused_until_it_rests() -> None:
    hasty, other = RecordedLink("hasty", "hasty"), RecordedLink("other", "other")
    shell, burst = Shell(), REQUESTS_PER_S * BURST_S

    def act(shell: Shell) -> None:
        for link in (hasty, other):
            shell.frameworks.connected(link)
        for number in range(burst + 3):
            ask_space(shell, hasty, Fetch(number + 1, "s"))
        ask_space(shell, other, Fetch(1, "s"))
        shell.now_s += 1.5 / REQUESTS_PER_S
        ask_space(shell, hasty, Fetch(burst + 4, "s"))

    play(act, shell)
    refused = [each.call for each in space_answers(hasty) if isinstance(each, SpaceRefused)]
    assert refused == [burst + 1, burst + 2, burst + 3]
    assert space_answers(other) == [Fetched(1)]


def test_renewal_by_a_leader_that_was_deposed_is_not_confirmed() -> None:
    """It took effect in a head that nobody follows any more."""

    async def act() -> None:
        victim, link = Victim(), RecordedLink("standby", "web-team")
        await victim.start()
        victim.frameworks.connected(link)
        acquire = AcquireLease(1, "s", "lead", "me", TTL_NS)
        victim.hear(victim.frameworks, link, encode_keep(acquire))
        await victim.settle()
        (leased,) = space_answers(link)
        assert isinstance(leased, Leased)
        renew = RenewLease(2, "s", "lead", leased.token)
        victim.hear(victim.frameworks, link, encode_keep(renew))
        await pass_turns(victim)
        assert space_answers(link) == [leased]  # not before leadership is proven
        victim.log.lose("m2:7000")
        await pass_turns(victim)
        assert space_answers(link)[1:] == [SpaceRefused(2, "NOT_LEADER", "m2:7000")]

    asyncio.run(act())


async def pass_turns(victim: Victim) -> None:
    """Let every turn that is due pass, without a proof of leadership."""
    for _ in range(6):
        await asyncio.sleep(0)
        victim.log.commit()


def test_request_of_a_space_that_cannot_be_read_is_malformed() -> None:
    shell, link = Shell(), RecordedLink("web")
    shell.frameworks.connected(link)
    with pytest.raises(Malformed):
        shell.call(link, Keep(b"no message"))


def acquired(leader: Leader, holder: str = "me") -> int:
    call = AcquireLease(1, "s", "lead", holder, TTL_NS)
    outcome = leader.submit(ChangeSpace("p", call))
    assert isinstance(outcome, Decision)
    assert isinstance(outcome.reply, Leased)
    return outcome.reply.token


def leases(leader: Leader) -> list[str]:
    space = leader.state.spaces.by_name.get("s")
    return [] if space is None else [lease.holder for lease in space.leases.values()]


def test_lease_that_is_not_renewed_ends() -> None:
    leader = Leader()
    acquired(leader)
    leader.advance(TTL_NS - 1)
    assert leases(leader) == ["me"]
    leader.advance(1)
    assert leases(leader) == []


def test_lease_that_is_renewed_goes_on() -> None:
    leader = Leader()
    token = acquired(leader)
    for _ in range(5):
        leader.advance(TTL_NS - 1)
        outcome = leader.submit(ChangeSpace("p", RenewLease(1, "s", "lead", token)))
        assert isinstance(outcome, Decision)
    assert leases(leader) == ["me"]
    leader.advance(TTL_NS)
    assert isinstance(leader.submit(ChangeSpace("p", RenewLease(1, "s", "lead", token))), Refused)


def test_new_leader_gives_every_lease_its_whole_time() -> None:
    leader = Leader()
    acquired(leader)
    leader.advance(TTL_NS - 1)
    leader.crash()
    leader.advance(TTL_NS - 1)
    assert leases(leader) == ["me"]
    leader.advance(1)
    assert leases(leader) == []


def test_alarm_of_a_released_lease_does_not_end_the_next_holders() -> None:
    leader = Leader()
    token = acquired(leader)
    leader.advance(TTL_NS // 2)
    leader.submit(ChangeSpace("p", ReleaseLease(1, "s", "lead", token)))
    assert acquired(leader, "you") > token
    leader.advance(TTL_NS - 1)
    assert leases(leader) == ["you"]


def test_spaces_survive_another_leader() -> None:
    leader = Leader()
    acquired(leader)
    changes = (Change("k", b"v", lease="lead"), Change("kept", b"w"))
    leader.submit(ChangeSpace("p", Transact(1, "s", "t", changes=changes)))
    leader.crash()  # compares what was folded
    leader.advance(TTL_NS)
    assert list(leader.state.spaces.by_name["s"].items) == ["kept"]
