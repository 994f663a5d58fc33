"""`quorate agent VERB`: what operators do with agents; without a verb it starts one here."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from master.ctl.become import become
from master.ctl.options import Credentials, Insecure, Masters, Plan

Agent = Annotated[str, typer.Argument(metavar="AGENT", help="Its id, or the name of its machine.")]


class AgentGroup(TyperGroup):
    """Hands everything that does not begin with a verb on to the agent's own command line."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in self.commands:
            become("agent", args)
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=AgentGroup,
    help="Start an agent here (`quorate agent --help`); or drain, undrain, deactivate or "
    "activate one, declare it gone, release those that are held (`quorate agent drain --help`).",
)


@app.command("drain")
def drain(
    agent: Agent,
    *,
    grace: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="From SIGTERM to SIGKILL, at most; as each task wants it unless given.",
            min=0,
            max=86_400,
        ),
    ] = None,
    deadline: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="For tasks to end or be moved before they are killed; 0 unless given.",
            min=0,
            max=30 * 86_400,
        ),
    ] = None,
    mark_gone: Annotated[
        bool, typer.Option("--mark-gone", help="Declare it gone for good once it is empty.")
    ] = False,
    wait: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="Until it is empty.", min=0, max=30 * 86_400),
    ] = 0,
    plan: Plan = False,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Offer nothing of an agent any more, and kill its tasks.

    With --wait alone, look on at a drain that goes on already.
    """
    from master.ctl import duty
    from master.ctl.target import find_target

    terms = duty.DrainTerms(grace, deadline, mark_gone)
    duty.drain(find_target(masters, credentials, insecure), agent, terms, wait, is_plan=plan)


@app.command("undrain")
def undrain(
    agent: Agent, masters: Masters = "", credentials: Credentials = "", insecure: Insecure = False
) -> None:
    """End a drain: offer the agent again; what was killed stays so."""
    from master.ctl import duty
    from master.ctl.target import find_target

    duty.undrain(find_target(masters, credentials, insecure), agent)


@app.command("deactivate")
def deactivate(
    agent: Agent,
    plan: Plan = False,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Offer nothing of an agent any more; its tasks run on."""
    from master.ctl import duty
    from master.ctl.target import find_target

    duty.deactivate(find_target(masters, credentials, insecure), agent, is_plan=plan)


@app.command("activate")
def activate(
    agent: Agent, masters: Masters = "", credentials: Credentials = "", insecure: Insecure = False
) -> None:
    """Offer an agent again that was deactivated or drained."""
    from master.ctl import duty
    from master.ctl.target import find_target

    duty.activate(find_target(masters, credentials, insecure), agent)


@app.command("release")
def release(
    seconds: Annotated[
        float,
        typer.Option(
            "--for", metavar="SECONDS", help="After that, many are held again.", min=0, max=86_400
        ),
    ] = 600,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Let silent agents be given up, however many fell silent at once."""
    from master.ctl import guard
    from master.ctl.target import find_target

    guard.lift(find_target(masters, credentials, insecure), seconds)


@app.command("gone")
def declare_gone(
    agent: Agent,
    plan: Plan = False,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Say that an agent that is away never comes back, and that its tasks are dead.

    Frameworks replace them at once. Should it return, it ends its tasks and is refused.
    """
    from master.ctl import duty
    from master.ctl.target import find_target

    duty.declare_gone(find_target(masters, credentials, insecure), agent, is_plan=plan)
