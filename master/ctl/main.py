"""The `quorate` command: what an operator may ask, start and try."""

import os
import sys
from typing import Annotated, Any, TypeGuard

import typer

from master.ctl import (
    agent,
    bookings,
    history,
    maintenance,
    masters,
    policy,
    quota,
    reservations,
    task,
    volumes,
)
from master.ctl.become import become
from master.ctl.log_group import app as log_group
from master.ctl.options import Credentials, Insecure, Masters, Output, Plan

PASS_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
PANEL_DAEMONS, PANEL_TRY = "Start a part of a cluster", "Try a whole cluster on this machine"

app = typer.Typer(
    name="quorate",
    help="A cluster manager: resource offers, a replicated log, containers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(masters.app, name="masters")
app.add_typer(quota.app, name="quota")
app.add_typer(task.app, name="task")
app.add_typer(maintenance.app, name="maintenance")
app.add_typer(agent.app, name="agent", rich_help_panel=PANEL_DAEMONS)
app.add_typer(policy.app, name="policy")
app.add_typer(log_group, name="log")
app.add_typer(history.app)
app.add_typer(reservations.app)
app.add_typer(volumes.app, name="volume")
app.add_typer(bookings.app, name="booking")

All = Annotated[bool, typer.Option("-a", "--all", help="Ended ones too.")]
Count = Annotated[int, typer.Option(min=1, max=9, metavar="N")]
Directory = Annotated[str, typer.Option("--dir", help="Where to keep all files.", metavar="DIR")]


def _list(what: str, masters: str, credentials: str, insecure: bool, **how: Any) -> None:
    from master.ctl.lists import show_list
    from master.ctl.target import find_target

    show_list(what, find_target(masters, credentials, insecure), **how)


@app.command("ps")
def list_tasks(
    all_: All = False,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
    output: Output = "table",
) -> None:
    """List tasks."""
    _list("tasks", masters, credentials, insecure, form=output, is_all=all_)


@app.command("agents")
def list_agents(
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
    output: Output = "table",
) -> None:
    """List agents and what is allocated on them."""
    _list("agents", masters, credentials, insecure, form=output)
    if output == "table":
        from master.ctl.guard import tell_guard
        from master.ctl.target import find_target

        tell_guard(find_target(masters, credentials, insecure))


@app.command("frameworks")
def list_frameworks(
    all_: All = False,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
    output: Output = "table",
) -> None:
    """List frameworks."""
    _list("frameworks", masters, credentials, insecure, form=output, is_all=all_)


@app.command("offers")
def list_offers(
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
    output: Output = "table",
) -> None:
    """List offers that no framework has answered yet."""
    _list("offers", masters, credentials, insecure, form=output)


@app.command("roles")
def list_roles(
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
    output: Output = "table",
) -> None:
    """List roles with their weights and shares."""
    _list("roles", masters, credentials, insecure, form=output)


@app.command("weight")
def set_weight(
    role: Annotated[str, typer.Argument(metavar="ROLE")],
    weight: Annotated[float, typer.Argument(min=0.001, max=1_000_000, metavar="WEIGHT")],
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Set a role's fair-share weight (1 unless set)."""
    from master.ctl.actions import set_weight
    from master.ctl.target import find_target

    set_weight(find_target(masters, credentials, insecure), role, round(weight * 1000))


@app.command("explain")
def explain(
    name: Annotated[str, typer.Argument(metavar="FRAMEWORK|ROLE|TASK", help="Its id or name.")],
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
    output: Output = "table",
) -> None:
    """Say why a framework or a role is, or is not, offered anything; what a task waits for."""
    from master.ctl.explain import explain
    from master.ctl.target import find_target

    explain(find_target(masters, credentials, insecure), name, output)


@app.command("kill")
def kill_tasks(
    tasks: Annotated[list[str], typer.Argument(metavar="TASK", help="task, or framework/task.")],
    grace: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="From SIGTERM to SIGKILL.", min=0, max=86_400),
    ] = None,
    plan: Plan = False,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Kill tasks."""
    from master.ctl.actions import kill_tasks
    from master.ctl.target import find_target

    kill_tasks(find_target(masters, credentials, insecure), tasks, grace, is_plan=plan)


@app.command("teardown")
def remove_framework(
    framework: Annotated[str, typer.Argument(metavar="FRAMEWORK", help="Its id or name.")],
    plan: Plan = False,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Remove a framework and kill its tasks."""
    from master.ctl.actions import remove_framework
    from master.ctl.target import find_target

    remove_framework(find_target(masters, credentials, insecure), framework, is_plan=plan)


@app.command("logs")
def read_logs(
    task: Annotated[str, typer.Argument(metavar="TASK", help="task, or framework/task.")],
    *,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Until the task ends.")] = False,
    stderr: Annotated[bool, typer.Option("--stderr", help="Instead of stdout.")] = False,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Print what a task wrote."""
    from master.ctl.logs import print_log
    from master.ctl.target import find_target

    target = find_target(masters, credentials, insecure)
    print_log(target, task, "stderr" if stderr else "stdout", is_followed=follow)


@app.command("master", context_settings=PASS_ON, rich_help_panel=PANEL_DAEMONS)
def start_master() -> None:
    """Start a master here (`quorate master --help`)."""
    become("master", sys.argv[2:])  # click would drop `--`


@app.command("rlog", context_settings=PASS_ON, rich_help_panel=PANEL_DAEMONS)
def start_log() -> None:
    """Start a log without a cluster here (`quorate rlog --help`)."""
    become("rlog", sys.argv[2:])  # click would drop `--`


@app.command("run", context_settings=PASS_ON, rich_help_panel=PANEL_DAEMONS)
def run_command() -> None:
    """Run a command in the cluster and wait for it (`quorate run --help`)."""
    become("run", sys.argv[2:])  # click would drop `--`


@app.command("state", context_settings=PASS_ON)
def use_state() -> None:
    """Get, put, list and watch what schedulers keep (`quorate state --help`)."""
    become("state", sys.argv[2:])  # click would drop `--`


@app.command("journal", context_settings=PASS_ON)
def use_journal() -> None:
    """Read and write journals that schedulers keep (`quorate journal --help`)."""
    become("journal", sys.argv[2:])  # click would drop `--`


@app.command("dev", rich_help_panel=PANEL_TRY)
def run_dev(
    masters: Count = 3,
    agents: Count = 2,
    directory: Directory = "",
) -> None:
    """Run a whole cluster in the foreground until ctrl-C."""
    from master.ctl.dev import run_dev

    run_dev(masters, agents, directory)


@app.command("demo", rich_help_panel=PANEL_TRY)
def run_demo(
    masters: Count = 3,
    agents: Count = 2,
) -> None:
    """Show what a cluster does when its leading master dies, in half a minute."""
    from master.ctl.demo import run_demo

    raise SystemExit(run_demo(masters, agents))


def _names_file(error: Exception) -> TypeGuard[OSError]:
    return isinstance(error, OSError) and error.filename is not None


def main() -> None:
    """Run the command line; troubles end with one line and exit status 1, misuse with 2."""
    try:
        app()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except Exception as error:
        from master.ctl.target import CommandError, MisuseError
        from protocol.errors import Fault

        if not isinstance(error, (Fault, CommandError, OSError)):
            raise
        text = f"{error.filename}: {error.strerror}" if _names_file(error) else error
        sys.stderr.write(f"quorate: {text}\n")
        raise SystemExit(2 if isinstance(error, MisuseError) else 1) from None
