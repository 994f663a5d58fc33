"""`quorate maintenance`: windows of time in which agents are to be empty, announced before."""

import sys
from typing import Annotated

import typer

from master.ctl.options import Credentials, Insecure, Masters, Output, Plan, target_of

TIME = "A time (2026-01-31T22:00+00:00), or from now: +90s, +30m, +2h, +3d."

app = typer.Typer(no_args_is_help=False)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the window.")]


@app.callback(invoke_without_command=True)
def list_windows(
    context: typer.Context,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
    output: Output = "table",
) -> None:
    """List maintenance windows and how far they are; or schedule and end them."""
    context.obj = (masters, credentials, insecure)
    if context.invoked_subcommand is None:
        from master.ctl.lists import show_list
        from master.ctl.target import find_target

        show_list("windows", find_target(masters, credentials, insecure), output)


@app.command("schedule")
def schedule(
    context: typer.Context,
    name: Name,
    agents: Annotated[
        list[str], typer.Argument(metavar="AGENT", help="Their ids, or names of their machines.")
    ],
    *,
    start: Annotated[str, typer.Option(metavar="TIME", help=TIME)],
    length: Annotated[
        str,
        typer.Option("--for", metavar="DURATION", help="90s, 30m, 2h; open unless given."),
    ] = "",
    grace: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="From SIGTERM to SIGKILL, at most; 0: as each task wants it.",
            min=0,
            max=86_400,
        ),
    ] = 0,
    plan: Plan = False,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Announce that agents will be emptied, and ask frameworks to leave them before.

    At the start they drain: what is still there is killed. At the end they are active again.
    """
    from master.ctl import windows

    wanted = windows.WindowTerms(name, tuple(agents), start, length, grace)
    windows.schedule(target_of(context, masters, credentials, insecure), wanted, is_plan=plan)


@app.command("cancel")
def cancel(
    context: typer.Context,
    name: Name,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Call a window off, or end it: its agents are active again."""
    from master.ctl.asking import ask, run
    from protocol.messages.operator import Done, EndWindow

    run(ask(target_of(context, masters, credentials, insecure), EndWindow(name=name), Done))
    sys.stdout.write(f"{name}: cancelled; its agents are active\n")
