"""Main: the master's command line, its settings, and the life of its process."""

import random
import time
from functools import partial
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry

from master.config import MasterConfig, load_config
from master.core.view import totals, view_frameworks
from master.master import Master
from observability.logs import configure
from observability.master_metrics import MasterMetrics
from observability.projections import ClusterTotals, Holding, Share
from protocol.descriptors import raise_descriptor_limit
from protocol.ids import FrameworkId
from protocol.links import parse_address
from protocol.quantities import amounts_of
from protocol.settings import ConfigError
from rlog.daemon import Exporter, flags_of, give_up, run_member, serve_until_stopped
from rlog.fork import ForkingDumper

COMMAND = "quorate master"

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
    try:
        chosen = load_config(config, flags_of(MasterConfig, given), settings or ())
        configure(chosen.log_format, chosen.log_level)
        raise_descriptor_limit()
    except ConfigError as error:
        give_up(COMMAND, str(error), 2)
    run_member(COMMAND, chosen, partial(_serve, chosen))


async def _serve(config: MasterConfig) -> None:
    """Raises: Fault, ConfigError, OSError with a text for the operator."""
    registry = CollectorRegistry()
    metrics = MasterMetrics(registry, lambda: read_totals(master), lambda id_: name_of(master, id_))
    try:
        master = Master(config, time.time_ns, random.Random(), metrics, ForkingDumper())
    except ValueError as error:
        raise ConfigError(str(error)) from None

    async def export() -> Exporter:
        from observability.exporter import serve  # heavy, and often not needed

        return await serve(*parse_address(config.metrics), registry)

    await serve_until_stopped(master, config, export if config.metrics else None)


def read_totals(master: Master) -> ClusterTotals | None:
    """Return the leader's picture of the cluster; None while this master does not lead."""
    if not master.is_leading:
        return None
    found = totals(master.state)
    shares = tuple(
        Share(
            role=role.role,
            weight_milli=role.weight_milli,
            share_millionths=role.dominant_share_millionths,
            allocated=role.allocated.scalars,
            wanted=amounts_of(role.wanted),
            wanted_tasks=role.wanted_tasks,
        )
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
        reserved=found.reserved,
        volumes=found.volumes,
        tasks={**found.tasks_ended, **found.tasks},
        agents=found.agents,
        frameworks=found.frameworks,
        shares=shares,
        holdings=holdings,
        offers_outstanding=found.offers,
        placements=found.placements,
        tasks_asked_back=found.reclaims,
        offers_taken=found.offers_taken,
        frameworks_backed_off=found.backed_off,
        agents_held=found.agents_held,
    )


def name_of(master: Master, framework_id: str) -> str:
    """Return a framework's name for people; its id when it is not known."""
    framework = master.state.frameworks.get(FrameworkId(framework_id))
    return framework.name if framework else framework_id


def main() -> None:
    """Run the master from the command line."""
    app(prog_name=COMMAND)
