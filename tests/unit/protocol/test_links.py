"""Links that are kept open, and masters' links with one leader among them."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from protocol.credentials import Credentials
from protocol.links import Link, LinkPace, parse_address
from protocol.master_links import MasterLinks
from protocol.messages.link import Leader
from protocol.peer import Peer
from tests.unit.protocol.loopback import (
    CREDENTIALS,
    HOST,
    QUICK,
    Changes,
    Listening,
    call,
    credentials_of,
    free_port,
    listen,
    make_identity,
    on_both_loops,
)

Run = Callable[[Any], Any]


@dataclass
class LinksRecorder:
    """A receiver of masters' words that keeps what happened, in order."""

    events: list[tuple[Any, ...]] = field(default_factory=list)
    changes: Changes = field(default_factory=Changes)

    def leader_found(self, peer: Peer, epoch: int) -> None:
        self._add("found", peer.name, epoch)

    def leader_lost(self) -> None:
        self._add("lost")

    def received(self, payload: bytes, epoch: int) -> None:
        self._add("received", payload, epoch)

    def refused(self, address: str, code: str, text: str) -> None:
        self._add("refused", address, code)

    async def until(self, *events: tuple[Any, ...]) -> None:
        """Wait for exactly these events since the start."""
        await self.changes.until(lambda: len(self.events) >= len(events))
        assert self.events == list(events)

    def _add(self, *event: Any) -> None:
        self.events.append(event)
        self.changes.note()


class WatchedLinks(MasterLinks):
    """Lets a test wait for tries that end."""

    def __init__(self, *settings: Any) -> None:
        self.ended = Changes()
        super().__init__(*settings)

    def _note_end(self, link: Link) -> None:
        super()._note_end(link)
        self.ended.note()


@dataclass
class Cluster:
    """Two masters and the links of one caller to them."""

    masters: list[Listening]
    links: "WatchedLinks"
    heard: LinksRecorder

    @classmethod
    async def start(cls, credentials: Credentials = CREDENTIALS) -> "Cluster":
        masters = [await listen(name=name) for name in ("m1", "m2")]
        identity = make_identity(credentials=credentials)
        heard = LinksRecorder()
        addresses = tuple(master.address for master in masters)
        links = WatchedLinks(addresses, identity, heard, random.Random(1), QUICK)
        links.start()
        return cls(masters, links, heard)

    def announce(self, number: int, epoch: int) -> None:
        """Master m1 or m2 says that it leads."""
        self.masters[number - 1].server.announce_leader(Leader(f"m{number}:1", epoch, True))

    async def say(self, number: int, payload: bytes, epoch: int) -> None:
        (await self.masters[number - 1].received.peer()).send(payload, epoch)

    async def stop(self) -> None:
        await self.links.stop()
        for master in self.masters:
            await master.server.stop()


@on_both_loops
def test_link_is_opened_again_after_the_server_comes_back(run: Run) -> None:
    async def main() -> None:
        listening = await listen()
        calling = call(listening.address)
        first = await calling.received.peer()
        await listening.server.stop()
        await calling.received.changes.until(lambda: bool(calling.received.lost))
        again = await listen(port=listening.port)
        second = await calling.received.peer()
        assert second is not first
        assert calling.link.peer is second
        await calling.link.stop()
        assert calling.link.peer is None
        await again.server.stop()

    run(main())


def test_address_that_never_answers_is_logged_once() -> None:
    async def main() -> None:
        calling = call(f"{HOST}:{free_port()}")
        await calling.ended.until(lambda: calling.link.failures >= 4)
        assert calling.link.failure == "connection refused"
        await calling.link.stop()

    with capture_logs() as logs:
        asyncio.run(main())
    assert [(line["event"], line["reason"]) for line in logs] == [
        ("no link; trying on", "connection refused")
    ]


def test_host_that_is_no_name_is_a_failure_and_not_the_end() -> None:
    async def main() -> None:
        calling = call("bad..name:7000")
        await calling.ended.until(lambda: calling.link.failures >= 2)
        await calling.link.stop()

    asyncio.run(main())


def test_delays_grow_from_the_first_to_the_most() -> None:
    pace, rng = LinkPace(retry_first_s=0.1, retry_max_s=5.0), random.Random(3)
    for failures in (1, 2, 5, 10, 1_000_000):
        delays = [pace.delay_s(failures, rng) for _ in range(200)]
        assert min(delays) >= 0.1
        assert max(delays) <= min(0.1 * 2.0 ** min(failures, 20), 5.0)
    assert max(delays) > 4


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [("m1:7000", "m1", 7000), ("10.0.0.1:1", "10.0.0.1", 1), ("[::1]:65535", "::1", 65_535)],
)
def test_address_is_a_host_and_a_port(address: str, host: str, port: int) -> None:
    assert parse_address(address) == (host, port)


@pytest.mark.parametrize("address", ["", "m1", ":7000", "m1:", "m1:0", "m1:65536", "m1:7k", "m1:²"])
def test_malformed_address_is_refused_with_what_is_expected(address: str) -> None:
    with pytest.raises(ValueError, match="expected host:port"):
        parse_address(address)


def test_links_without_addresses_are_refused() -> None:
    with pytest.raises(ValueError, match="no master"):
        MasterLinks((), make_identity(), LinksRecorder(), random.Random(1))


@on_both_loops
def test_leader_is_found_and_heard(run: Run) -> None:
    async def main() -> None:
        cluster = await Cluster.start()
        cluster.announce(1, 3)
        await cluster.heard.until(("found", "m1", 3))
        assert cluster.links.leader is not None
        assert cluster.links.epoch == 3
        await cluster.say(1, b"offer", 3)
        await cluster.heard.until(("found", "m1", 3), ("received", b"offer", 3))
        await cluster.stop()
        assert cluster.links.leader is None
        assert cluster.heard.events[-1] == ("lost",)

    run(main())


@on_both_loops
def test_old_leader_is_not_heard_any_more(run: Run) -> None:
    async def main() -> None:
        cluster = await Cluster.start()
        cluster.announce(1, 3)
        await cluster.heard.until(("found", "m1", 3))
        cluster.announce(2, 4)
        before = [("found", "m1", 3), ("lost",), ("found", "m2", 4)]
        await cluster.heard.until(*before)
        await cluster.say(1, b"from an old leader", 3)
        await cluster.say(1, b"from a follower", 4)
        cluster.announce(1, 5)  # comes over the same link, after what must not be heard
        await cluster.heard.until(*before, ("lost",), ("found", "m1", 5))
        await cluster.stop()

    run(main())


def test_message_decided_under_an_earlier_epoch_is_dropped() -> None:
    async def main() -> None:
        cluster = await Cluster.start()
        cluster.announce(1, 3)
        await cluster.heard.until(("found", "m1", 3))
        await cluster.say(1, b"stale", 2)
        await cluster.say(1, b"without an epoch", 0)
        await cluster.say(1, b"fresh", 3)
        await cluster.heard.until(("found", "m1", 3), ("received", b"fresh", 3))
        await cluster.stop()

    asyncio.run(main())


@on_both_loops
def test_leader_whose_link_broke_is_found_again_in_its_epoch(run: Run) -> None:
    async def main() -> None:
        cluster = await Cluster.start()
        cluster.announce(1, 3)
        await cluster.heard.until(("found", "m1", 3))
        (await cluster.masters[0].received.peer()).drop("the network broke")
        await cluster.heard.until(("found", "m1", 3), ("lost",), ("found", "m1", 3))
        await cluster.stop()

    run(main())


class Patience(random.Random):
    """Waits as long as it may, and hurries at once."""

    def uniform(self, a: float, b: float) -> float:
        return b if a else 0.0


def test_master_that_was_away_is_called_at_once_when_the_leader_is_lost() -> None:
    async def main() -> None:
        leader, port = await listen(name="m1"), free_port()
        heard, pace = LinksRecorder(), LinkPace(retry_first_s=600, retry_max_s=3600)
        addresses = (leader.address, f"{HOST}:{port}")
        links = WatchedLinks(addresses, make_identity(), heard, Patience(), pace)
        links.start()
        await links.ended.until(lambda: bool(links.silent.get(addresses[1])))
        leader.server.announce_leader(Leader("m1:1", 3, True))
        await heard.until(("found", "m1", 3))
        returned = await listen(name="m2", port=port)
        await leader.server.stop()
        await returned.received.peer()
        await links.stop()
        await returned.server.stop()

    asyncio.run(main())


def test_same_word_again_tells_nothing_new() -> None:
    async def main() -> None:
        cluster = await Cluster.start()
        cluster.announce(1, 3)
        await cluster.heard.until(("found", "m1", 3))
        cluster.announce(1, 3)
        await cluster.say(1, b"next", 3)
        await cluster.heard.until(("found", "m1", 3), ("received", b"next", 3))
        await cluster.stop()

    asyncio.run(main())


def test_final_refusal_is_told_once_for_each_master() -> None:
    async def main() -> None:
        cluster = await Cluster.start(credentials_of("agents", "wrong"))
        refused = {("refused", master.address, "WRONG_SECRET") for master in cluster.masters}
        await cluster.heard.changes.until(lambda: set(cluster.heard.events) == refused)
        links = cluster.links._links
        await cluster.links.ended.until(lambda: all(link.failures >= 3 for link in links.values()))
        assert len(cluster.heard.events) == len(cluster.masters)
        await cluster.stop()

    with capture_logs() as logs:
        asyncio.run(main())
    assert len([line for line in logs if line["event"] == "no link; trying on"]) == 2


def test_masters_that_are_told_of_are_linked_to_until_they_are_no_more() -> None:
    async def main() -> None:
        cluster = await Cluster.start()
        m1, m2 = cluster.masters
        m3 = await listen(name="m3")
        members = (m2.address, m3.address, "no address")
        word = Leader(m3.address, 3, origin="ours", masters=members)
        m2.server.announce_leader(word)
        m3.server.announce_leader(replace(word, is_me=True))
        m1.server.announce_leader(Leader(m1.address, 2, True, "ours", (m1.address, m2.address)))
        cluster.links._leadership.trust()
        await cluster.heard.changes.until(lambda: ("found", "m3", 3) in cluster.heard.events)
        assert set(cluster.links.silent) == set()
        m2.server.announce_leader(Leader(m2.address, 4, True, "ours", (m1.address, m2.address)))
        await cluster.heard.changes.until(lambda: ("found", "m2", 4) in cluster.heard.events)
        assert set(cluster.links._links) == {m1.address, m2.address}
        await cluster.stop()
        await m3.server.stop()

    asyncio.run(main())


def test_masters_of_another_cluster_are_not_linked_to() -> None:
    async def main() -> None:
        cluster = await Cluster.start()
        m1, m2 = cluster.masters
        stray = Leader(m2.address, 9, True, "another", ("127.0.0.1:9",))
        m1.server.announce_leader(Leader(m1.address, 3, True, "ours", (m1.address,)))
        cluster.links._leadership.trust()
        await cluster.heard.changes.until(lambda: ("found", "m1", 3) in cluster.heard.events)
        m2.server.announce_leader(stray)
        await cluster.say(1, b"done", 3)
        await cluster.heard.changes.until(lambda: ("received", b"done", 3) in cluster.heard.events)
        assert set(cluster.links._links) == {m1.address, m2.address}
        await cluster.stop()

    asyncio.run(main())
