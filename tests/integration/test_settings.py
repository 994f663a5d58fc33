"""Masters and agents that are started from files, as an operator keeps them."""

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from master.ctl.children import free_ports
from tests.clusters import wait_for
from tests.shell import Command, run_quorate, running_quorate


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    return home


@pytest.fixture
def addresses() -> list[str]:
    return [f"127.0.0.1:{port}" for port in free_ports(3)]


@pytest.fixture
def daemons(home: Path, addresses: list[str]) -> Iterator[list[Command]]:
    """Three masters and an agent, each with nothing but its file and the form of its log."""
    peers = json.dumps(addresses)
    with ExitStack() as stack:
        started = []
        for place, address in enumerate(addresses, 1):
            file = home / f"m{place}.toml"
            file.write_text(
                f'listen = "{address}"\npeers = {peers}\ninsecure = true\n'
                f'data_dir = "{home}/m{place}"\nelection_timeout_s = 0.4\n'
            )
            started.append(("master", file))
        file = home / "a1.toml"
        file.write_text(
            f'masters = {peers}\nwork_dir = "{home}/a1"\ninsecure = true\nhostname = "filed"\n'
            'listen = "127.0.0.1:0"\nresources = "cpus:3;mem:1GiB"\nattributes = "rack:r1;zone:a"\n'
        )
        started.append(("agent", file))
        yield [
            stack.enter_context(
                running_quorate(home, what, "--config", str(path), "--log-format", "json")
            )
            for what, path in started
        ]


def test_daemons_start_from_files_and_log_json(
    home: Path, addresses: list[str], daemons: list[Command]
) -> None:
    at = ("--masters", ",".join(addresses), "--insecure", "-o", "json")

    def look() -> list[dict[str, object]]:
        ran = run_quorate(home, "agents", *at)
        return list(json.loads(ran.stdout)) if ran.returncode == 0 else []

    (agent,) = wait_for(look, "the agent to be admitted")
    assert (agent["hostname"], agent["attributes"]) == ("filed", {"rack": "r1", "zone": "a"})
    assert agent["total"] == {"cpus_milli": 3000, "mem_bytes": 1 << 30}
    masters = json.loads(run_quorate(home, "masters", *at).stdout)
    assert sorted(master["role"] for master in masters) == ["follower", "follower", "leader"]
    for daemon in reversed(daemons):
        assert daemon.interrupt(signal.SIGTERM) == 0
        events = [json.loads(line) for line in daemon.said.splitlines()]
        assert {"event", "level", "timestamp"} <= set.intersection(*map(set, events))


@pytest.mark.parametrize(
    ("what", "content", "text"),
    [
        (
            "master",
            "insecure = true\nelection_timeot_s = 1",
            "election_timeot_s: unknown key; did you mean election_timeout_s?",
        ),
        (
            "agent",
            "insecure = true\n[limits]\npids = 5",
            "limits: unknown key",
        ),
    ],
)
def test_unknown_key_is_refused(home: Path, what: str, content: str, text: str) -> None:
    file = home / "wrong.toml"
    file.write_text(f"{content}\n")
    ran = run_quorate(home, what, "--config", str(file))
    assert (ran.returncode, ran.stderr) == (2, f"quorate {what}: {file}: {text}\n")
