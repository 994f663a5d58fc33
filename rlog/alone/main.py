"""Main: the command line of a log by itself, and the life of its process."""

import random
import time
from functools import partial
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry

from observability.log_metrics import LogMetrics
from observability.logs import configure
from protocol.descriptors import raise_descriptor_limit
from protocol.links import parse_address
from protocol.settings import ConfigError
from rlog.alone.config import LoneConfig, load_config
from rlog.alone.member import LoneMember
from rlog.daemon import Exporter, flags_of, give_up, run_member, serve_until_stopped
from rlog.fork import ForkingDumper

COMMAND = "quorate rlog"

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
        typer.Option(metavar="ADDRESS", help="host:port to serve at; 127.0.0.1:7100 unless given."),
    ] = "",
    advertise: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="host:port as the others know it; as --listen unless given."
        ),
    ] = "",
    peers: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="host:port,… of all that found the log, this one too; none: it is alone.",
        ),
    ] = "",
    join: Annotated[
        str,
        typer.Option(
            metavar="LIST", help="host:port,… of a log's members; waits for `quorate masters add`."
        ),
    ] = "",
    data_dir: Annotated[
        str,
        typer.Option(
            metavar="DIR", help="Where the log is kept; /var/lib/quorate/rlog unless given."
        ),
    ] = "",
    cluster: Annotated[
        str, typer.Option(metavar="NAME", help="Of the log; a member of another one is refused.")
    ] = "",
    credentials: Annotated[
        str, typer.Option(metavar="FILE", help="A principal, its secret and roles per line.")
    ] = "",
    principal: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Whose secret it shows the other members; the first that may, unless given.",
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
    """Keep keys, leases and journals for other programs: alone, or as one of three or five.

    What was acknowledged is on the disks of more than half of the members.
    `quorate state` and `quorate journal` use it with --log, programs with `rlog.client`.
    """
    given = locals()
    try:
        chosen = load_config(config, flags_of(LoneConfig, given), settings or ())
        configure(chosen.log_format, chosen.log_level)
        raise_descriptor_limit()
    except ConfigError as error:
        give_up(COMMAND, str(error), 2)
    run_member(COMMAND, chosen, partial(_serve, chosen))


async def _serve(config: LoneConfig) -> None:
    """Raises: Fault, ConfigError, OSError with a text for the operator."""
    registry = CollectorRegistry()
    metrics = LogMetrics(registry)
    probes = (metrics, metrics)
    try:
        member = LoneMember(config, time.time_ns, random.Random(), probes, ForkingDumper())
    except ValueError as error:
        raise ConfigError(str(error)) from None

    async def export() -> Exporter:
        from observability.exporter import serve  # heavy, and often not needed

        return await serve(*parse_address(config.metrics), registry)

    await serve_until_stopped(member, config, export if config.metrics else None)


def main() -> None:
    """Run a member from the command line."""
    app(prog_name=COMMAND)
