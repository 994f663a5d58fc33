"""`quorate booking`: parts of agents kept for roles, for a while, again and again, or for ever."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from master.ctl.options import Credentials, Insecure, Masters, Output, Plan, target_of

SECOND_NS = 1_000_000_000
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

app = typer.Typer(no_args_is_help=False)

Name = Annotated[str, typer.Argument(metavar="NAME")]


@app.callback(invoke_without_command=True)
def list_bookings(
    context: typer.Context,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
    output: Output = "table",
) -> None:
    """List the bookings, and what they have of what they want; or set and remove them."""
    context.obj = (masters, credentials, insecure)
    if context.invoked_subcommand is None:
        from master.ctl.lists import show_list
        from master.ctl.target import find_target

        show_list("bookings", find_target(masters, credentials, insecure), output)


@app.command("set")
def set_booking(
    context: typer.Context,
    name: Name,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="Such as eng or eng/search.")],
    share: Annotated[
        float, typer.Option(metavar="PERCENT", help="Of every agent's amounts.", min=0, max=100)
    ] = 0.0,
    resources: Annotated[
        str, typer.Option(metavar="LIST", help="cpus:2;mem:4GiB of every agent.")
    ] = "",
    where: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Only agents with this.")
    ] = None,
    begin: Annotated[
        str, typer.Option("--from", metavar="TIME", help="2026-12-24T18:00, in UTC; now.")
    ] = "",
    until: Annotated[str, typer.Option(metavar="TIME", help="For ever unless given.")] = "",
    cron: Annotated[
        str, typer.Option(metavar="EXPRESSION", help="When it begins, in UTC: '0 22 * * mon-fri'.")
    ] = "",
    length: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="Of each time: 8h.")
    ] = "",
    announce: Annotated[
        str,
        typer.Option(metavar="DURATION", help="Put by what becomes free so long before it begins."),
    ] = "",
    kill: Annotated[
        bool, typer.Option("--kill", help="Kill tasks that are in the way when it begins.")
    ] = False,
    plan: Plan = False,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Keep a part of agents for a role, also of agents that come later.

    Give --share or --resources, and when: from now on, --from and --until, or --cron and --for.
    """
    from master.ctl.reservations import say_done
    from master.ctl.target import MisuseError
    from protocol.messages.operator import SetBooking
    from protocol.messages.values import Attribute, Booking
    from protocol.resources import parse_resources

    try:
        parsed = parse_resources(resources)
        attributes = []
        for text in where or []:
            key, sign, value = text.partition("=")
            if not sign or not key or not value:
                raise ValueError(f"--where: {text!r} is not NAME=VALUE")
            attributes.append(Attribute(key, value))
        booking = Booking(
            id=name,
            role=role,
            share_millionths=round(share * 10_000),
            resources=parsed,
            attributes=tuple(attributes),
            cron=cron,
            duration_ns=parse_duration(length),
            lead_ns=parse_duration(announce),
            is_killing=kill,
            begin_ns=parse_time(begin),
            end_ns=parse_time(until),
        )
    except ValueError as error:
        raise MisuseError(str(error)) from None
    target = target_of(context, masters, credentials, insecure)
    say_done(target, SetBooking(booking=booking, plan=plan), plan)


@app.command("remove")
def remove_booking(
    context: typer.Context,
    name: Name,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Book this no more; what it reserved is let go as tasks end."""
    from master.ctl.asking import ask, run
    from protocol.messages.operator import Done, RemoveBooking

    target = target_of(context, masters, credentials, insecure)
    done = run(ask(target, RemoveBooking(booking_id=name), Done))
    sys.stdout.write(f"{done.text}\n")


def parse_duration(text: str) -> int:
    """Return nanoseconds: of 90s, 30m, 8h, 2d. Raises: ValueError."""
    number, unit = text[:-1], text[-1:]
    if not text:
        return 0
    if unit not in UNITS_S or not number.isdecimal():
        raise ValueError(f"{text!r} is no duration such as 90s, 30m, 8h or 2d")
    return int(number) * UNITS_S[unit] * SECOND_NS


def parse_time(text: str) -> int:
    """Return nanoseconds since 1970; without a zone it is UTC. Raises: ValueError."""
    if not text:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time such as 2026-12-24T18:00") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * SECOND_NS
