"""`quorate events` and `quorate replay`: how the cluster came to be as it is."""

from typing import Annotated

import typer

from master.ctl.options import Credentials, Insecure, Masters, Output

app = typer.Typer()


@app.command("events")
def show_events(
    *,
    first: Annotated[str, typer.Option("--from", metavar="INDEX|TIME", help="Begin there.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="INDEX|TIME", help="End there.")] = "",
    count: Annotated[
        int,
        typer.Option("-n", "--last", metavar="N", help="The last so many, without --from.", min=1),
    ] = 50,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="And those to come.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="EVENT", help="Those whose names begin so: task, agent, …."),
    ] = None,
    about: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Those with this task, framework, agent, role, …"),
    ] = None,
    snapshot: Annotated[
        bool, typer.Option("--snapshot", help="Begin with the state where events are gone.")
    ] = False,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
    output: Output = "table",
) -> None:
    """Print what was decided, event by event, from the masters' log."""
    from master.ctl.events import Choice, show_events
    from master.ctl.target import find_target

    choice = Choice(
        first, last, count, tuple(only or ()), tuple(about or ()), follow, snapshot, output
    )
    show_events(find_target(masters, credentials, insecure), choice)


@app.command("replay")
def replay(
    until: Annotated[
        str, typer.Option(metavar="INDEX|TIME", help="Stop after this entry, or this time.")
    ] = "",
    data_dir: Annotated[
        str, typer.Option(metavar="DIR", help="Of a master, up or down, instead of asking one.")
    ] = "",
    backup: Annotated[
        str, typer.Option(metavar="FILE", help="Made by `quorate log backup`, likewise.")
    ] = "",
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
    output: Output = "table",
) -> None:
    """Rebuild the cluster's state as it was at a point of the log, and show it."""
    from master.ctl import past
    from master.ctl.replay import open_masters_log, replay
    from master.ctl.target import MisuseError, find_target

    if data_dir and backup:
        raise MisuseError("--data-dir and --backup: give one of both")
    if data_dir:
        with open_masters_log(data_dir) as archive:
            replay(past.past_of_archive(archive), until, 0, output)
    elif backup:
        replay(past.past_of_backup(backup), until, 0, output)
    else:
        target = find_target(masters, credentials, insecure)
        replay(past.past_of_cluster(target), until, 0, output)
