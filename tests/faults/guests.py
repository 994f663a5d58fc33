"""Processes that do not belong: started beside a cluster, looked at, and ended."""

import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from master.ctl.children import Child, kill_leftovers, remove_cgroups
from master.ctl.cluster import EmbeddedCluster
from tests.faults.stage import until

COMMAND_S_MAX = 60.0


class Guest:
    """One daemon that a cluster will not have, or that will not start."""

    def __init__(self, child: Child, directory: Path) -> None:
        self.child = child
        self.directory = directory

    def lines(self, words: str) -> list[str]:
        """Return the lines of its log that hold the words."""
        return [line for line in self.child.tail(1000).splitlines() if words in line]

    async def says(self, words: str) -> None:
        """Return once its log holds the words, in one line."""
        await until(lambda: bool(self.lines(words)), f"{words!r} in {self.child.tail(40)}")
        print(self.lines(words)[0])
        assert "Traceback" not in self.child.tail(1000)

    async def ends(self, code: int, words: str) -> None:
        """Return once it has ended with one line for the operator that holds the words."""
        await until(lambda: not self.child.is_running, "it ends")
        said = [line for line in self.child.tail(40).splitlines() if line.startswith("quorate ")]
        print(*said, sep="\n")
        assert self.child.exit_code == code, self.child.tail(40)
        assert len(said) == 1
        assert words in said[0]
        assert "Traceback" not in self.child.tail(1000)


@contextlib.asynccontextmanager
async def guest(
    cluster: EmbeddedCluster, name: str, module: str, *arguments: str
) -> AsyncIterator[Guest]:
    """Run a daemon with a directory of its own, and clear away what it leaves."""
    directory = cluster.directory / name
    directory.mkdir(exist_ok=True)
    child = Child(name, module, arguments, cluster.directory / f"{name}.log")
    child.start()
    try:
        yield Guest(child, directory)
    finally:
        child.kill()
        kill_leftovers(directory)
        remove_cgroups(directory)


def agent_arguments(cluster: EmbeddedCluster, work_dir: Path, /, **other: str) -> list[str]:
    """Return what starts an agent of this cluster, but for what is to be different."""
    flags = {
        "masters": ",".join(cluster.addresses),
        "work-dir": str(work_dir),
        "credentials": cluster.target.credentials,
        "hostname": "guest",
        "listen": "127.0.0.1:0",
        "resources": "cpus:1;mem:1GiB",
    }
    return _words(flags, other)


def master_arguments(cluster: EmbeddedCluster, data_dir: Path, /, **other: str) -> list[str]:
    """Return what starts a master of this cluster, but for what is to be different."""
    flags = {
        "listen": cluster.addresses[0],
        "peers": ",".join(cluster.addresses),
        "data-dir": str(data_dir),
        "credentials": cluster.target.credentials,
    }
    return _words(flags, other)


def _words(flags: dict[str, str], other: dict[str, str]) -> list[str]:
    named = flags | {name.replace("_", "-"): value for name, value in other.items()}
    return [f"--{name}={value}" for name, value in named.items()]


def write_credentials(path: Path, *lines: str) -> str:
    """Write a credentials file that only its owner may read; return its path."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.writelines(f"{line}\n" for line in lines)
    return str(path)


def run_quorate(cluster: EmbeddedCluster, *words: str, credentials: str = "") -> tuple[int, str]:
    """Return exit status and stderr of an operator's command against this cluster."""
    environment = {
        **os.environ,
        "QUORATE_MASTERS": ",".join(cluster.addresses),
        "QUORATE_CREDENTIALS": credentials or cluster.target.credentials,
    }
    command = [sys.executable, "-P", "-m", "master.ctl", *words]
    ran = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, timeout=COMMAND_S_MAX
    )
    return ran.returncode, ran.stderr


def check_refused(ran: tuple[int, str], code: int, words: str) -> None:
    """See that a command ended with a status and one line that holds the words."""
    print(ran[1], end="")
    assert ran[0] == code, ran
    assert words in ran[1]
    assert len(ran[1].splitlines()) == 1, ran[1]


def count_lines(children: Sequence[Child], words: str) -> int:
    """Return how many lines of the logs hold the words."""
    return sum(words in line for child in children for line in child.tail(100_000).splitlines())
