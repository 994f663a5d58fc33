"""Main: the agent's command line, its settings, and the life of its process."""

import asyncio
import fcntl
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from typing import Annotated, NoReturn

import msgspec
import structlog
import typer
import uvloop
from prometheus_client import CollectorRegistry

from agent.agent import Agent
from agent.config import (
    AgentConfig,
    join_address,
    load_config,
    split_address,
    split_reserved,
)
from agent.containerizer.native import NativeContainerizer
from agent.discovery import (
    detect_address,
    detect_hostname,
    detect_resources,
    find_port,
    keep_port,
    read_boot_id,
    settle_disk,
)
from agent.paths import Paths
from observability.agent_metrics import AgentMetrics
from observability.exporter import Exporter, serve
from observability.logs import configure
from protocol.credentials import CredentialsError
from protocol.descriptors import raise_descriptor_limit
from protocol.errors import Broken, Fault, StorageLost
from protocol.resources import format_resources
from protocol.settings import ConfigError
from rlog.local import LocalLog, LocalLogConfig

log = structlog.get_logger()

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class WorkDirInUse(Fault):
    """Another agent lives in this work directory."""


@app.command()
def run(
    *,
    masters: Annotated[
        str,
        typer.Option(
            metavar="ADDRESSES", help="host:port,… of all masters; 127.0.0.1:7000 unless given."
        ),
    ] = "",
    work_dir: Annotated[
        str,
        typer.Option(
            metavar="DIR",
            help="Where checkpoint and sandboxes are; /var/lib/quorate/agent unless given.",
        ),
    ] = "",
    listen: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="host:port of its own server; a free port of all interfaces unless given.",
        ),
    ] = "",
    advertise: Annotated[
        str,
        typer.Option(metavar="HOST", help="Under which others reach it; found out unless given."),
    ] = "",
    hostname: Annotated[
        str, typer.Option(metavar="NAME", help="Of this machine; the machine's own unless given.")
    ] = "",
    resources: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="cpus:4;mem:8GiB;ports:[31000-32000]; all that this machine has unless given.",
        ),
    ] = "",
    reserved: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE=LIST", help="A part of them for a role and those below it."),
    ] = None,
    attributes: Annotated[
        str, typer.Option(metavar="LIST", help="rack:r1;zone:a; none unless given.")
    ] = "",
    credentials: Annotated[
        str, typer.Option(metavar="FILE", help="A principal, its secret and roles per line.")
    ] = "",
    principal: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Whose secret it shows the masters; the first that may, unless given.",
        ),
    ] = "",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Believe everybody; for trials.")
    ] = False,
    cluster: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Of the cluster; whichever the masters belong to unless given."
        ),
    ] = "",
    backend: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="native (cgroups and namespaces), process (neither), or auto: what it can.",
        ),
    ] = "",
    metrics: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="host:port of the Prometheus page; none unless given."
        ),
    ] = "",
    log_format: Annotated[
        str, typer.Option(metavar="FORMAT", help="console or json; console unless given.")
    ] = "",
    config: Annotated[
        str, typer.Option(metavar="FILE", help="TOML of settings; flags go before it.")
    ] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any setting of the file."),
    ] = None,
) -> None:
    """Lend this machine to a cluster and run its tasks.

    Tasks outlive the agent: stopping or restarting it leaves them running.
    """
    given = locals()
    flags = {
        key: given[key]
        for key in AgentConfig.__struct_fields__
        if key in given and given[key] not in ("", False, None)
    }
    try:
        if reserved:
            flags["reserved"] = split_reserved(reserved)
        chosen = load_config(config, flags, settings or ())
        configure(chosen.log_format, chosen.log_level)
        os.umask(0o022)
        raise_descriptor_limit()
        paths = Paths(chosen.work_dir)
        lock = lock_work_dir(paths)
        complete = detect(chosen, paths)
    except (ConfigError, WorkDirInUse, CredentialsError, OSError, ValueError) as error:
        _give_up(error, 2)
    try:
        uvloop.run(serve_until_stopped(complete))
    except StorageLost as error:
        _give_up(f"{error}; tasks run on", 1)
    except (Fault, OSError, ValueError) as error:
        _give_up(error, 1)
    finally:
        os.close(lock)
    sys.stderr.flush()
    os._exit(0)  # a thread that waits for a slow server must not hold an agent that has stopped


def lock_work_dir(paths: Paths) -> int:
    """Make the work directory ours as long as the returned descriptor is open.

    Raises: WorkDirInUse naming the process that has it, OSError.
    """
    os.makedirs(paths.work_dir, mode=0o755, exist_ok=True)
    lock = os.open(paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(lock, 32, 0).decode(errors="replace").strip()
        os.close(lock)
        raise WorkDirInUse(
            f"work directory {paths.work_dir} is in use by the agent with pid {pid or 'unknown'}"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def detect(config: AgentConfig, paths: Paths) -> AgentConfig:
    """Return the settings with everything filled in that was left to the machine."""
    host, port = split_address(config.listen, port_min=0)
    port = port or find_port(paths.port, host)
    hostname = config.hostname or detect_hostname()
    advertise = config.advertise
    if not advertise and host in ("0.0.0.0", "::"):  # noqa: S104 – compared, not bound
        try:
            advertise = detect_address(config.masters[0])
        except OSError:
            advertise = hostname
    resources = config.resources
    if not resources:
        disk_bytes = settle_disk(paths.disk, paths.work_dir)
        resources = format_resources(detect_resources(disk_bytes))
    complete = msgspec.structs.replace(
        config,
        listen=join_address(host, port),
        hostname=hostname,
        advertise=advertise or host,
        resources=resources,
        boot_id=config.boot_id or read_boot_id(),
    )
    log.info(
        "agent configured",
        hostname=hostname,
        resources=resources,
        was_detected=not config.resources,
        attributes=config.attributes,
        work_dir=str(paths.work_dir),
        masters=",".join(config.masters),
    )
    return complete


async def serve_until_stopped(config: AgentConfig) -> None:
    """Run the agent until a signal comes or its checkpoint cannot be trusted.

    Raises: Fault, OSError with a text for the operator.
    """
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[str] = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _settle, stopped, signal.Signals(number).name)
    registry = CollectorRegistry()
    agent = assemble(config, AgentMetrics(registry))
    agent.on_broken = _breaker(stopped)
    exporter = await _export(config, registry)
    try:
        await agent.start()
        keep_port(Paths(config.work_dir).port, split_address(agent.address)[1])
        log.info("agent started", agent=agent.state.agent_id, address=agent.address)
        reason = await stopped
        log.info("agent stops, its tasks run on", reason=reason, tasks=len(agent.state.live))
    finally:
        await agent.stop()
        if exporter is not None:
            await exporter.stop()


def assemble(config: AgentConfig, probe: AgentMetrics) -> Agent:
    """An agent on this machine's real disk, clock and containers."""
    paths = Paths(config.work_dir)
    backend = "process" if config.backend == "process" else "native"
    containerizer = NativeContainerizer(str(paths.work_dir), time.time_ns, backend)
    checkpoint = LocalLog(LocalLogConfig(str(paths.log)), probe)
    rng = random.Random()
    return Agent(config, containerizer, checkpoint, time.time_ns, rng, probe=probe)


async def _export(config: AgentConfig, registry: CollectorRegistry) -> Exporter | None:
    if not config.metrics:
        return None
    host, port = split_address(config.metrics, port_min=0)
    return await serve(host, port, registry)


def _settle(stopped: "asyncio.Future[str]", reason: str) -> None:
    if not stopped.done():
        stopped.set_result(reason)


def _breaker(stopped: "asyncio.Future[str]") -> Callable[[Broken], None]:
    def on_broken(error: Broken) -> None:
        if not stopped.done():
            stopped.set_exception(error)

    return on_broken


def _give_up(error: Exception | str, code: int) -> NoReturn:
    if isinstance(error, OSError) and error.filename is not None:
        error = f"{error.filename}: {error.strerror}"
    print(f"quorate agent: {error}", file=sys.stderr)  # noqa: T201 – the operator's one line
    sys.exit(code)


def main() -> None:
    """Run the agent from the command line."""
    app(prog_name="quorate agent")
