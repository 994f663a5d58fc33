"""`quorate policy`: how roles are offered anything."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from master.ctl.options import Credentials, Insecure, Masters, Output, target_of

if TYPE_CHECKING:
    from master.ctl.target import Target

app = typer.Typer(no_args_is_help=False)

Role = Annotated[str, typer.Argument(metavar="ROLE", help="Such as eng or eng/search.")]


@app.callback(invoke_without_command=True)
def list_policies(
    context: typer.Context,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
    output: Output = "table",
) -> None:
    """List how roles are offered anything, where it was chosen; or set and remove it."""
    context.obj = (masters, credentials, insecure)
    if context.invoked_subcommand is None:
        from master.ctl.lists import show_list
        from master.ctl.target import find_target

        show_list("policies", find_target(masters, credentials, insecure), output)


@app.command("set")
def set_policy(
    context: typer.Context,
    role: Role,
    least: Annotated[
        str, typer.Option(metavar="AMOUNTS", help="No smaller offers are made: cpus:1;mem:1GiB.")
    ] = "",
    sharers: Annotated[
        int,
        typer.Option(
            min=1, max=16, metavar="N", help="How many frameworks are offered the same at once."
        ),
    ] = 1,
    is_open: Annotated[
        bool, typer.Option("--open", help="Offer nothing; take transactions on what is seen.")
    ] = False,
    reclaims: Annotated[
        bool,
        typer.Option("--reclaim", help="End preemptible tasks of others for it, within its share."),
    ] = False,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Choose for a role and all below it, but for those with a policy of their own."""
    if not least and sharers == 1 and not is_open and not reclaims:
        raise typer.BadParameter("give --least, --sharers, --open, --reclaim or several of them")
    policy = least, sharers, is_open, reclaims
    _set(target_of(context, masters, credentials, insecure), role, policy)


@app.command("remove")
def remove_policy(
    context: typer.Context,
    role: Role,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Let a role be offered things as the role above it is."""
    _set(target_of(context, masters, credentials, insecure), role, ("", 1, False, False))


def _set(target: "Target", role: str, policy: tuple[str, int, bool, bool]) -> None:
    from master.ctl.asking import ask, run
    from master.ctl.target import MisuseError
    from protocol.messages.operator import Done, SetPolicy
    from protocol.quantities import listed_quantities, parse_quantities

    least, sharers, is_open, reclaims = policy
    try:
        amounts = listed_quantities(parse_quantities(least))
    except ValueError as error:
        raise MisuseError(f"--least: {error}") from None
    run(
        ask(
            target,
            SetPolicy(
                role=role, least=amounts, sharers=sharers, is_open=is_open, reclaims=reclaims
            ),
            Done,
        )
    )
    words = [f"least {least}"] if least else []
    if sharers > 1:
        words.append(f"shared by up to {sharers}")
    if is_open:
        words.append("open to transactions")
    if reclaims:
        words.append("reclaims its share")
    sys.stdout.write(f"{role}: {', '.join(words) or 'no policy'}\n")
