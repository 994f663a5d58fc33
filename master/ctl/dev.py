"""`quorate dev`: a whole cluster in the foreground."""

import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path

import uvloop

from master.ctl.asking import quieten
from master.ctl.cluster import EmbeddedCluster
from master.ctl.target import CommandError, read_dev_file, remove_dev_file, write_dev_file

PORT_FIRST = 7000


def run_dev(masters: int, agents: int, directory: str) -> None:
    """Run a cluster until SIGINT or SIGTERM, then end it with all its tasks.

    Raises: CommandError.
    """
    running = read_dev_file()
    if running is not None:
        raise CommandError(f"a dev cluster runs already, at {','.join(running.masters)}")
    path = Path(directory or tempfile.mkdtemp(prefix="quorate-dev-")).absolute()
    quieten()
    uvloop.run(_run(EmbeddedCluster(masters, agents, path, PORT_FIRST)))


async def _run(cluster: EmbeddedCluster) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)
    starting = loop.create_task(cluster.start())
    stopping = loop.create_task(stopped.wait())
    try:
        _say(f"starting {_counted(cluster)}\n")
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            write_dev_file(cluster.target, os.getpid())
            _print_usage(cluster)
            await _watch(cluster, stopped)
    finally:
        starting.cancel()
        stopping.cancel()
        remove_dev_file()
        _say("stopping: ending tasks, agents and masters\n")
        await cluster.stop()
        _say(f"files and logs are left in {cluster.directory}\n")


async def _watch(cluster: EmbeddedCluster, stopped: asyncio.Event) -> None:
    """Say so when a daemon ends; restart nothing, so that failures can be tried by hand."""
    running = [child for child in cluster.children if child.is_running]
    while not stopped.is_set():
        for child in [child for child in running if not child.is_running]:
            running.remove(child)
            _say(f"{child.name} (pid {child.pid}) has ended; its log: {child.log}\n")
        try:
            async with asyncio.timeout(0.5):
                await stopped.wait()
        except TimeoutError:
            continue


def _print_usage(cluster: EmbeddedCluster) -> None:
    target = cluster.target
    pids = "  ".join(f"{child.name} {child.pid}" for child in cluster.children)
    _say(
        f"""running; files and logs in {cluster.directory}
pids: {pids}

In other terminals of yours `quorate` finds this cluster by itself:
  quorate run -- echo hello
  quorate ps -a
  quorate masters
For other programs:
  export QUORATE_MASTERS={",".join(target.masters)}
  export QUORATE_CREDENTIALS={target.credentials}

ctrl-C ends everything.
"""
    )


def _counted(cluster: EmbeddedCluster) -> str:
    parts = []
    for count, noun in ((len(cluster.masters), "master"), (len(cluster.agents), "agent")):
        parts.append(f"{count} {noun}{'' if count == 1 else 's'}")
    return " and ".join(parts)


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
