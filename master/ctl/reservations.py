"""`quorate reservations`, `reserve`, `unreserve`: what is kept for whom on which agent."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from master.ctl.options import Credentials, Insecure, Masters, Output, Plan

if TYPE_CHECKING:
    from master.ctl.target import Target
    from protocol.messages.operator import OperatorMessage
    from protocol.messages.values import Label
    from protocol.resources import Resources

SECOND_NS = 1_000_000_000

app = typer.Typer()

Agent = Annotated[str, typer.Argument(metavar="AGENT")]


@app.command("reservations")
def list_reservations(
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
    output: Output = "table",
) -> None:
    """List what is reserved, for which role, and how much of it is in use."""
    from master.ctl.lists import show_list
    from master.ctl.target import find_target

    show_list("reservations", find_target(masters, credentials, insecure), output)


@app.command("reserve")
def reserve(
    agent: Agent,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="Such as eng or eng/search.")],
    resources: Annotated[
        str, typer.Argument(metavar="RESOURCES", help="cpus:2;mem:4GiB;ports:[31000-31009]")
    ] = "",
    name: Annotated[str, typer.Option(metavar="NAME", help="A known one grows.")] = "",
    source: Annotated[
        str, typer.Option("--from", metavar="NAME", help="Take them from this reservation.")
    ] = "",
    label: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE")] = None,
    ttl: Annotated[
        float, typer.Option(metavar="SECONDS", help="Until it ends; 0: never.", min=0)
    ] = 0.0,
    plan: Plan = False,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Keep resources of an agent for a role and those below it.

    What tasks use cannot be reserved; offers in the way are taken back.

    With --from, a role below that reservation's gets a part of it, and any other role gets it
    instead, without a moment between.
    """
    from master.ctl.target import find_target
    from protocol.messages.operator import ReserveByOperator

    question = ReserveByOperator(
        agent_id=agent,
        reservation=name,
        role=role,
        resources=_parse(resources),
        source=source,
        labels=_labels(label or []),
        ttl_ns=round(ttl * SECOND_NS),
        plan=plan,
    )
    say_done(find_target(masters, credentials, insecure), question, plan)


@app.command("unreserve")
def unreserve(
    agent: Agent,
    name: Annotated[str, typer.Argument(metavar="RESERVATION")],
    resources: Annotated[
        str, typer.Argument(metavar="RESOURCES", help="A part of it; all unless given.")
    ] = "",
    when_free: Annotated[
        bool, typer.Option("--when-free", help="Offer it no more; let go as its tasks end.")
    ] = False,
    plan: Plan = False,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Give reserved resources back to what they were reserved from."""
    from master.ctl.target import MisuseError, find_target
    from protocol.messages.operator import UnreserveByOperator

    if when_free and resources:
        raise MisuseError("--when-free lets go of the whole reservation; name no resources")
    question = UnreserveByOperator(
        agent_id=agent,
        reservation=name,
        resources=_parse(resources),
        when_free=when_free,
        plan=plan,
    )
    say_done(find_target(masters, credentials, insecure), question, plan)


def say_done(target: "Target", question: "OperatorMessage", is_plan: bool) -> None:
    """Ask for a change, and print what the masters say of it.

    Raises: CommandError.
    """
    from master.ctl.asking import ask, run
    from protocol.messages.operator import Done

    done = run(ask(target, question, Done))
    sys.stdout.write(f"{'would be done: ' if is_plan else ''}{done.text}\n")


def _parse(text: str) -> "Resources":
    from master.ctl.target import MisuseError
    from protocol.resources import parse_resources

    try:
        return parse_resources(text)
    except ValueError as error:
        raise MisuseError(str(error)) from None


def _labels(texts: list[str]) -> "tuple[Label, ...]":
    from master.ctl.target import MisuseError
    from protocol.messages.values import Label

    labels = []
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise MisuseError(f"--label: {text!r} is not KEY=VALUE")
        labels.append(Label(key, value))
    return tuple(labels)
