"""Logs that run by themselves, as real processes, driven as programs and shells do it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from master.ctl.children import Child, free_ports, stop_all
from rlog.client import Connection, connect
from rlog.spaces.messages import Fetch, Fetched
from tests.clusters import COMMAND_S_MAX, wait_for

PATIENCE_S = 60.0  # only ever spent by a test that fails
PRINCIPALS = ("member m-secret replica", "shop s-secret keeper", "op o-secret operator")


class LoneLog:
    """The members of one log, and its secrets."""

    def __init__(self, members: int, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.credentials = directory / "credentials"
        self.credentials.write_text("".join(f"{line}\n" for line in PRINCIPALS))
        self.credentials.chmod(0o600)
        self.addresses = [f"127.0.0.1:{port}" for port in free_ports(members)]
        self.members = [
            self.member(address, "--peers", ",".join(self.addresses)) for address in self.addresses
        ]

    def member(self, address: str, *arguments: str) -> Child:
        """Return a member that is not started; its directory is named by its port."""
        words = [
            *("--listen", address),
            *("--data-dir", str(self.data_dir(address))),
            *("--credentials", str(self.credentials)),
            *arguments,
        ]
        name = f"r{address.rpartition(':')[2]}"
        return Child(name, "rlog", words, self.directory / f"{name}.log")

    def data_dir(self, address: str) -> Path:
        return self.directory / f"data-{address.rpartition(':')[2]}"

    def connect(self) -> Connection:
        return connect(",".join(self.addresses), str(self.credentials), deadline_s=PATIENCE_S)

    def settle(self, *addresses: str) -> None:
        """Return once somebody leads, of those at the addresses or of all."""

        async def ask() -> None:
            where = ",".join(addresses or self.addresses)
            async with asyncio.timeout(PATIENCE_S), connect(where, str(self.credentials)) as log:
                await log.ask_patiently(Fetch(space="settled"), Fetched)

        asyncio.run(ask())

    def leader(self) -> Child:
        """Return the member that leads, once there is one."""

        def look() -> Child | None:
            views = self.ask("masters", is_sure=False)
            leading = [view["address"] for view in views if view["role"] == "leader"]
            return self.members[self.addresses.index(leading[0])] if leading else None

        return wait_for(look, "a leader")

    def ask(self, *words: str, is_sure: bool = True) -> list[dict[str, Any]]:
        """Return what a command prints as JSON."""
        ran = self.quorate(*words, "-o", "json")
        assert ran.returncode == 0 or not is_sure, ran.stderr
        found = json.loads(ran.stdout or "[]")
        assert isinstance(found, list)
        return found

    def do(self, *words: str) -> str:
        """Return what a command printed that must succeed."""
        ran = self.quorate(*words)
        assert ran.returncode == 0, f"{ran.stderr}\n{self.tails()}"
        return ran.stdout

    def quorate(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "master.ctl", *words],
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "HOME": str(self.directory),
                "QUORATE_LOG": ",".join(self.addresses),
                "QUORATE_MASTERS": ",".join(self.addresses),
                "QUORATE_CREDENTIALS": str(self.credentials),
            },
            timeout=COMMAND_S_MAX,
            check=False,
        )

    def tails(self) -> str:
        return "\n".join(f"--- {child.log}\n{child.tail()}" for child in self.members)


@contextmanager
def running_log(members: int, directory: Path) -> Iterator[LoneLog]:
    """A log whose members are started, and gone at the end."""
    lone = LoneLog(members, directory)
    try:
        for child in lone.members:
            child.start()
        lone.settle()
        yield lone
    except BaseException:
        print(lone.tails())
        raise
    finally:
        stop_all(lone.members)
