"""Main: the command line of `quorate run`."""

import dataclasses
import getpass
import logging
import socket
from typing import Annotated, Any, Literal

import structlog
import typer
import uvloop

from protocol.handshake import LinkIdentity
from protocol.messages.link import LinkRole
from schedulers.framework import DEFAULT_MASTERS, Framework, load_secrets
from schedulers.run.job import Job, JobError, JobOptions, make_job
from schedulers.run.runner import DETACHED_FAILOVER_S, FAILOVER_S, Runner, RunOptions
from schedulers.run.screen import Screen

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    # What follows the command's name belongs to the command.
    context_settings={"help_option_names": ["-h", "--help"], "allow_interspersed_args": False},
)

PANEL_NEEDS, PANEL_LINK = "What each instance needs", "How to reach the cluster"


@app.command()
def run(
    *,
    command: Annotated[list[str] | None, typer.Argument(metavar="COMMAND")] = None,
    name: Annotated[str, typer.Option(help="Of the job; the command's unless given.")] = "",
    instances: Annotated[int, typer.Option("-n", "--instances", help="How many times.")] = 1,
    is_shell: Annotated[bool, typer.Option("--shell", help="Run it by /bin/sh -c.")] = False,
    variables: Annotated[list[str] | None, typer.Option("--env", metavar="NAME=VALUE")] = None,
    uris: Annotated[
        list[str] | None,
        typer.Option("--uri", help="Fetched into the sandbox; archives are unpacked."),
    ] = None,
    user: Annotated[str, typer.Option(help="Whom to run as; the agent's default.")] = "",
    detach: Annotated[
        bool, typer.Option("-d", "--detach", help="Print the tasks' ids and leave; a week at most.")
    ] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to start everything; 0: for ever.")] = 0,
    output: Annotated[
        Literal["text", "json"], typer.Option("-o", "--output", help="How to tell of states.")
    ] = "text",
    max_time: Annotated[
        float, typer.Option(help="Seconds it may run, then it is killed; 0: for ever.", min=0)
    ] = 0,
    kill_grace: Annotated[
        float,
        typer.Option(help="Seconds from the kill signal to SIGKILL; 0: the agent's.", min=0),
    ] = 0,
    kill_signal: Annotated[
        str, typer.Option(metavar="NAME", help="That asks it to end; TERM unless given.")
    ] = "",
    cpus: Annotated[str, typer.Option(rich_help_panel=PANEL_NEEDS)] = "0.1",
    mem: Annotated[
        str, typer.Option(help="Limited to 32MiB at least.", rich_help_panel=PANEL_NEEDS)
    ] = "64MiB",
    cpus_limit: Annotated[
        str,
        typer.Option(help="May use so much while others do not.", rich_help_panel=PANEL_NEEDS),
    ] = "",
    mem_limit: Annotated[
        str,
        typer.Option(help="May use so much while the machine has it.", rich_help_panel=PANEL_NEEDS),
    ] = "",
    disk: Annotated[str, typer.Option(rich_help_panel=PANEL_NEEDS)] = "",
    gpus: Annotated[str, typer.Option(rich_help_panel=PANEL_NEEDS)] = "",
    ports: Annotated[int, typer.Option(help="How many.", rich_help_panel=PANEL_NEEDS)] = 0,
    constraints: Annotated[
        list[str] | None,
        typer.Option(
            "--constraint",
            metavar="rack=r1,r2",
            help="Of the agent's attributes; or zone!=a.",
            rich_help_panel=PANEL_NEEDS,
        ),
    ] = None,
    preemptible: Annotated[
        bool,
        typer.Option("--preemptible", help="May be ended for a role with less than its share."),
    ] = False,
    priority: Annotated[
        int, typer.Option(metavar="N", help="Of preemptible ones the lower goes first.")
    ] = 0,
    volumes: Annotated[
        list[str] | None,
        typer.Option(
            "--volume",
            metavar="VOLUME:PATH",
            help="Of the role; where it is in the sandbox; VOLUME:PATH:ro to read it only.",
            rich_help_panel=PANEL_NEEDS,
        ),
    ] = None,
    role: Annotated[str, typer.Option(rich_help_panel=PANEL_LINK)] = "default",
    masters: Annotated[
        str,
        typer.Option(envvar="QUORATE_MASTERS", metavar="LIST", rich_help_panel=PANEL_LINK),
    ] = "",
    credentials: Annotated[
        str,
        typer.Option(envvar="QUORATE_CREDENTIALS", metavar="FILE", rich_help_panel=PANEL_LINK),
    ] = "",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Show no secret.", rich_help_panel=PANEL_LINK)
    ] = False,
) -> None:
    """Run a command in the cluster, show its output, and end with its exit status.

    It is killed when this command is interrupted. Detached, it runs on by itself,
    for a week at most: then its framework, which nobody speaks for, is removed.
    """
    given = locals()
    # A person reads what the screen says, not what the links say of themselves.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    screen = Screen(is_json=output == "json")
    try:
        fields: dict[str, Any] = {
            each.name: () if given[each.name] is None else given[each.name]
            for each in dataclasses.fields(JobOptions)
        }
        job = make_job(JobOptions(**fields))
        framework = Framework(
            name=job.name,
            masters=masters or DEFAULT_MASTERS,
            roles=(role,),
            user=user,
            failover_timeout_s=DETACHED_FAILOVER_S if detach else FAILOVER_S,
            credentials=load_secrets(credentials, is_insecure=insecure),
        )
        status = uvloop.run(run_job(job, framework, screen, RunOptions(detach, timeout)))
    except (JobError, ValueError) as error:
        screen.warn(str(error))
        raise SystemExit(2) from None
    raise SystemExit(status)


async def run_job(job: Job, framework: Framework, screen: Screen, options: RunOptions) -> int:
    """Run the job and return the exit status. Raises: ValueError for a bad address or secret."""
    secrets = framework.credentials
    role = LinkRole.OPERATOR  # for which agents let their files be read
    principal = secrets.principal_for(role)
    name = f"{getpass.getuser()}@{socket.gethostname()}"
    reader = LinkIdentity(role, name, principal, secrets)

    def tell_detached(framework_id: str, tasks: list[str]) -> None:
        names = [f"{framework_id}/{task}" for task in tasks]
        screen.print_result(names, {"framework": framework_id, "tasks": names})
        screen.say(
            f"left running, for at most {DETACHED_FAILOVER_S / 86_400:.0f} days; "
            f"`quorate teardown {framework_id}` ends it"
        )

    runner = Runner(job, framework, reader, screen, options, on_detached=tell_detached)
    return await runner.run()


def main() -> None:
    """Run the command line."""
    app(prog_name="quorate run")
