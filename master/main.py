"""Main: the master's command line, its settings, and the life of its process."""

import asyncio
import os
import random
import signal
import sys
import time
from typing import Annotated, NoReturn

import structlog
import typer
import uvloop
from prometheus_client import CollectorRegistry

from master.config import MasterConfig, load_config
from master.core.view import totals, view_frameworks
from master.master import Master
from observability.logs import configure
from observability.master_metrics import MasterMetrics
from observability.projections import ClusterTotals, Holding, Share
from protocol.descriptors import raise_descriptor_limit
from protocol.errors import Broken, CorruptLog, Fault
from protocol.ids import FrameworkId
from protocol.links import parse_address
from protocol.settings import ConfigError
from rlog.fork import ForkingDumper
from rlog.repair import prepare

log = structlog.get_logger()

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def run(
    *,
    listen: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="host:port to serve at; 127.0.0.1:7000 unless given."),
    ] = "",
    advertise: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="host:port as the other masters know it; as --listen unless given.",
        ),
    ] = "",
    peers: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="host:port,… of all that found the cluster, this one too; none: it is alone.",
        ),
    ] = "",
    join: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="host:port,… of a cluster's masters; waits for `quorate masters add`.",
        ),
    ] = "",
    data_dir: Annotated[
        str,
        typer.Option(
            metavar="DIR", help="Where the log is kept; /var/lib/quorate/master unless given."
        ),
    ] = "",
    cluster: Annotated[
        str,
        typer.Option(metavar="NAME", help="Of the cluster; a master of another one is refused."),
    ] = "",
    credentials: Annotated[
        str,
        typer.Option(metavar="FILE", help="A principal, its secret and roles per line."),
    ] = "",
    principal: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Whose secret it shows the other masters; the first that may, unless given.",
        ),
    ] = "",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let everybody in; for trials.")
    ] = False,
    repair: Annotated[
        str,
        typer.Option(
            metavar="HOW",
            help="auto: set a damaged data file aside, for the others to fill anew; refuse.",
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
    """Take part in leading a cluster: one of an odd number of masters, or a lone one.

    Masters keep every decision in a replicated log.
    With more than half of them the cluster takes new work.
    Tasks run on whatever happens to masters.
    """
    given = locals()
    flags = {
        key: given[key]
        for key in MasterConfig.__struct_fields__
        if key in given and given[key] not in ("", False)
    }
    try:
        chosen = load_config(config, flags, settings or ())
        configure(chosen.log_format, chosen.log_level)
        raise_descriptor_limit()
    except ConfigError as error:
        _give_up(str(error), 2)
    for warning in chosen.warnings():
        log.warning("unlikely setting", warning=warning)
    try:
        os.makedirs(chosen.data_dir, mode=0o700, exist_ok=True)
        _serve_on_sound_data(chosen)
    except (Fault, ConfigError) as error:
        _give_up(str(error), 1)
    except OSError as error:
        text = error.strerror or str(error)
        _give_up(f"{error.filename}: {text}" if error.filename else text, 1)


def _serve_on_sound_data(config: MasterConfig) -> None:
    """Run the master; begin anew when its data file turns out to be damaged, and was repaired.

    Raises: Fault, ConfigError, OSError with a text for the operator.
    """
    is_repairing = config.repair == "auto"
    met: CorruptLog | None = None
    while True:
        is_new = prepare(config.data_dir, config.name, config.cluster, is_repairing=is_repairing)
        if met is not None and not is_new:
            raise met  # the file is whole: it is not the disk that is wrong
        try:
            return uvloop.run(serve_until_stopped(config))
        except CorruptLog as error:
            met = error


async def serve_until_stopped(config: MasterConfig) -> None:
    """Run the master until a signal comes or its log cannot be trusted any more.

    Raises: Fault, ConfigError, OSError with a text for the operator.
    """
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[str] = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _settle, stopped, signal.Signals(number).name)
    registry = CollectorRegistry()
    metrics = MasterMetrics(registry, lambda: read_totals(master), lambda id_: name_of(master, id_))
    try:
        master = Master(config, time.time_ns, random.Random(), metrics, ForkingDumper())
    except ValueError as error:
        raise ConfigError(str(error)) from None

    def on_broken(error: Broken) -> None:
        if not stopped.done():
            stopped.set_exception(error)

    master.on_broken = on_broken
    exporter = None
    try:
        if config.metrics:
            from observability.exporter import serve  # heavy, and often not needed

            exporter = await serve(*parse_address(config.metrics), registry)
        await master.start()
        log.info("master started", name=config.name, voters=",".join(config.voters))
        reason = await stopped
        log.info("master stops", reason=reason, is_leader=master.is_leading)
    finally:
        await master.stop()
        if exporter is not None:
            await exporter.stop()


def read_totals(master: Master) -> ClusterTotals | None:
    """Return the leader's picture of the cluster; None while this master does not lead."""
    if not master.is_leading:
        return None
    found = totals(master.state)
    shares = tuple(
        Share(role.role, role.weight_milli, role.dominant_share_millionths, role.allocated.scalars)
        for role in found.roles
    )
    holdings = tuple(
        Holding(framework.name, framework.allocated.scalars)
        for framework in view_frameworks(master.state, is_all=False)
    )
    return ClusterTotals(
        capacity=found.capacity,
        offered=found.offered,
        allocated=found.allocated,
        tasks={**found.tasks_ended, **found.tasks},
        agents=found.agents,
        frameworks=found.frameworks,
        shares=shares,
        holdings=holdings,
        offers_outstanding=found.offers,
    )


def name_of(master: Master, framework_id: str) -> str:
    """Return a framework's name for people; its id when it is not known."""
    framework = master.state.frameworks.get(FrameworkId(framework_id))
    return framework.name if framework else framework_id


def _settle(stopped: "asyncio.Future[str]", reason: str) -> None:
    if not stopped.done():
        stopped.set_result(reason)


def _give_up(text: str, code: int) -> NoReturn:
    print(f"quorate master: {text}", file=sys.stderr)  # noqa: T201 – the operator's one line
    sys.exit(code)


def main() -> None:
    """Run the master from the command line."""
    app(prog_name="quorate master")
