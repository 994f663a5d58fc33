"""Small networks of their own: a namespace per member, joined by a bridge, divided at will."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from typing import TypeVar

import pytest

from tests.faults.relay import Faults, Relay, open_tap

N = TypeVar("N", bound="Net")
BLOCK_PREFERENCE = "10"  # of a rule that drops a sender's packets, before the local table's


class Net:
    """Members 0, 1, … at 10.77.0.1, 10.77.0.2, …; nothing outside sees them."""

    def __init__(self, count: int) -> None:
        self.names = [f"quorate-{os.getpid()}-{place}" for place in range(count)]
        self.addresses = [f"10.77.0.{place + 1}" for place in range(count)]
        self._silent: set[tuple[int, int]] = set()
        self._narrow: set[int] = set()

    def command(self, place: int) -> list[str]:
        """Return what to put before a command that is to run on this member's host."""
        return ["ip", "netns", "exec", self.names[place]]

    def part(self, silent: Sequence[tuple[int, int]]) -> None:
        """Drop, at its input, what goes from one member to another: the sender sees nothing."""
        for source, target in sorted(set(silent) - self._silent):
            self._rule("add", source, target)
        for source, target in sorted(self._silent - set(silent)):
            self._rule("del", source, target)
        self._silent = set(silent)

    def narrow(self, place: int, kilobits: int) -> None:
        """Let no more than so many kilobits a second reach a member; skips where it cannot be."""
        limit = ["tbf", "rate", f"{kilobits}kbit", "burst", "16kb", "latency", "400ms"]
        command = self._queue("add", place, *limit)
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("needs the token bucket filter (sch_tbf) in the kernel, and tc")
        self._narrow.add(place)

    def heal(self) -> None:
        self.part(())
        for place in sorted(self._narrow):
            subprocess.run(self._queue("del", place), check=True)
        self._narrow.clear()

    def _queue(self, verb: str, place: int, *words: str) -> list[str]:
        port = ["dev", f"port{place}", "root"]
        return ["tc", "-n", self.names[0], "qdisc", verb, *port, *words]

    def _rule(self, verb: str, source: int, target: int) -> None:
        words = ["pref", BLOCK_PREFERENCE, "from", self.addresses[source], "blackhole"]
        _ip("-n", self.names[target], "rule", verb, *words)

    def make(self) -> None:
        for name in self.names:
            _ip("netns", "add", name)
        self.join()
        for place, name in enumerate(self.names):
            _ip("-n", name, "address", "add", f"{self.addresses[place]}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                _ip("-n", name, "link", "set", device, "up")
            # The local table comes first by default, and would take everything for this host.
            _ip("-n", name, "rule", "add", "pref", "100", "lookup", "local")
            _ip("-n", name, "rule", "del", "pref", "0")

    def join(self) -> None:
        """Give every member a device `eth0` by which it reaches the others."""
        hub = self.names[0]  # its bridge belongs to nobody's traffic but that of its ports
        _ip("-n", hub, "link", "add", "name", "bridge0", "type", "bridge")
        _ip("-n", hub, "link", "set", "bridge0", "up")
        for place, name in enumerate(self.names):
            port = f"port{place}"
            _ip("-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", port)
            if name != hub:
                _ip("-n", name, "link", "set", port, "netns", hub)
            _ip("-n", hub, "link", "set", port, "master", "bridge0", "up")

    def remove(self) -> None:
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


class RelayedNet(Net):
    """Members whose every frame goes through a relay of ours."""

    relay: Relay

    def join(self) -> None:
        taps = []
        for place, name in enumerate(self.names):
            device = f"q{os.getpid()}-{place}"
            taps.append(open_tap(device))
            _ip("link", "set", device, "netns", name, "name", "eth0")
        self.relay = Relay(taps)
        self.relay.start()

    def heal(self) -> None:
        super().heal()
        self.relay.faults = Faults()

    def remove(self) -> None:
        if hasattr(self, "relay"):
            self.relay.stop()
        super().remove()


@contextlib.contextmanager
def network(count: int, kind: type[N]) -> Iterator[N]:
    """Make a network and remove it; skips the test without the right to."""
    probe = ["ip", "netns", "add", f"quorate-{os.getpid()}-probe"]
    if os.geteuid() != 0 or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to make network namespaces")
    subprocess.run(["ip", "netns", "del", probe[-1]], check=True)
    net = kind(count)
    try:
        net.make()
        yield net
    finally:
        net.remove()
