"""Small networks of their own: a namespace per member, joined by a bridge, divided at will."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence

import pytest

BLOCK_PREFERENCE = "10"  # of a rule that drops a sender's packets, before the local table's


class Net:
    """Members 0, 1, … at 10.77.0.1, 10.77.0.2, …; nothing outside sees them."""

    def __init__(self, count: int) -> None:
        self.names = [f"quorate-{os.getpid()}-{place}" for place in range(count)]
        self.addresses = [f"10.77.0.{place + 1}" for place in range(count)]
        self._silent: set[tuple[int, int]] = set()

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

    def heal(self) -> None:
        self.part(())

    def _rule(self, verb: str, source: int, target: int) -> None:
        words = ["pref", BLOCK_PREFERENCE, "from", self.addresses[source], "blackhole"]
        _ip("-n", self.names[target], "rule", verb, *words)

    def make(self) -> None:
        for name in self.names:
            _ip("netns", "add", name)
        hub = self.names[0]  # its bridge belongs to nobody's traffic but that of its ports
        _ip("-n", hub, "link", "add", "name", "bridge0", "type", "bridge")
        _ip("-n", hub, "link", "set", "bridge0", "up")
        for place, name in enumerate(self.names):
            port = f"port{place}"
            _ip("-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", port)
            if name != hub:
                _ip("-n", name, "link", "set", port, "netns", hub)
            _ip("-n", hub, "link", "set", port, "master", "bridge0", "up")
            _ip("-n", name, "address", "add", f"{self.addresses[place]}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                _ip("-n", name, "link", "set", device, "up")
            # The local table comes first by default, and would take everything for this host.
            _ip("-n", name, "rule", "add", "pref", "100", "lookup", "local")
            _ip("-n", name, "rule", "del", "pref", "0")

    def remove(self) -> None:
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextlib.contextmanager
def network(count: int) -> Iterator[Net]:
    """Make a network and remove it; skips the test without the right to."""
    probe = ["ip", "netns", "add", f"quorate-{os.getpid()}-probe"]
    if os.geteuid() != 0 or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to make network namespaces")
    subprocess.run(["ip", "netns", "del", probe[-1]], check=True)
    net = Net(count)
    try:
        net.make()
        yield net
    finally:
        net.remove()
