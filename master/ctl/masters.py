"""`quorate masters`: who leads and who belongs, and how that is changed while they work."""

from typing import Annotated

import typer

from master.ctl.options import Credentials, Insecure, Masters, Output, target_of

WAIT_S = 600.0  # of a replacement: a new master is sent the whole log

app = typer.Typer(no_args_is_help=False)

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="host:port of the master.")]
Wait = Annotated[
    float, typer.Option(metavar="SECONDS", help="For it to catch up.", min=0, max=86_400)
]


@app.callback(invoke_without_command=True)
def list_masters(
    context: typer.Context,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
    output: Output = "table",
) -> None:
    """Ask every master how it is; or change who belongs and who leads."""
    context.obj = (masters, credentials, insecure)
    if context.invoked_subcommand is None:
        from master.ctl.lists import show_list
        from master.ctl.target import find_target

        show_list("masters", find_target(masters, credentials, insecure), output)


@app.command("add")
def add_master(
    context: typer.Context,
    address: Address,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Send a new master everything; it counts for nothing until it is promoted.

    Start it with `quorate master --join LIST` first.
    """
    from master.ctl.members import add_master

    add_master(target_of(context, masters, credentials, insecure), address)


@app.command("promote")
def promote_master(
    context: typer.Context,
    address: Address,
    wait: Wait = 0,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Make a master that was added and has caught up a voter."""
    from master.ctl.members import promote_master

    promote_master(target_of(context, masters, credentials, insecure), address, wait)


@app.command("remove")
def remove_master(
    context: typer.Context,
    address: Address,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Let a master belong no more; a leading one hands leadership over."""
    from master.ctl.members import remove_master

    remove_master(target_of(context, masters, credentials, insecure), address)


@app.command("replace")
def replace_master(
    context: typer.Context,
    old: Annotated[str, typer.Argument(metavar="OLD", help="host:port of the one that goes.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="host:port of the one that comes.")],
    wait: Wait = WAIT_S,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Add NEW, wait until it has caught up, promote it, then remove OLD."""
    from master.ctl.members import replace_master

    replace_master(target_of(context, masters, credentials, insecure), old, new, wait)


@app.command("transfer")
def transfer_leadership(
    context: typer.Context,
    address: Address,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Let this voter lead."""
    from master.ctl.members import transfer_leadership

    transfer_leadership(target_of(context, masters, credentials, insecure), address)
