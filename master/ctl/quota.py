"""`quorate quota`: what roles are promised, and the most that they may have."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from master.ctl.options import Credentials, Insecure, Masters, Output, Plan, target_of

if TYPE_CHECKING:
    from master.ctl.target import Target

AMOUNTS = "cpus:4;mem:8GiB;ports:100"

app = typer.Typer(no_args_is_help=False)

Role = Annotated[str, typer.Argument(metavar="ROLE", help="Such as eng or eng/search.")]


@app.callback(invoke_without_command=True)
def list_quotas(
    context: typer.Context,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
    output: Output = "table",
) -> None:
    """List the quotas and what is used of them; or set and remove them."""
    context.obj = (masters, credentials, insecure)
    if context.invoked_subcommand is None:
        from master.ctl.lists import show_list
        from master.ctl.target import find_target

        show_list("quotas", find_target(masters, credentials, insecure), output)


@app.command("set")
def set_quota(
    context: typer.Context,
    role: Role,
    guarantee: Annotated[
        str, typer.Option(metavar="AMOUNTS", help=f"Kept for it: {AMOUNTS}.")
    ] = "",
    limit: Annotated[str, typer.Option(metavar="AMOUNTS", help="The most that it may have.")] = "",
    force: Annotated[
        bool,
        typer.Option("--force", help="Promise more than there is; allow less than is in use."),
    ] = False,
    plan: Plan = False,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Give a role and all below it a guarantee, a limit or both, instead of those it had."""
    if not guarantee and not limit:
        raise typer.BadParameter("give --guarantee, --limit or both")
    target = target_of(context, masters, credentials, insecure)
    _set(target, role, (guarantee, limit), is_forced=force, is_plan=plan)


@app.command("remove")
def remove_quota(
    context: typer.Context,
    role: Role,
    plan: Plan = False,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Promise a role nothing, and bound it no more."""
    target = target_of(context, masters, credentials, insecure)
    _set(target, role, ("", ""), is_forced=True, is_plan=plan)


def _set(
    target: "Target", role: str, texts: tuple[str, str], *, is_forced: bool, is_plan: bool
) -> None:
    from master.ctl.asking import ask, run
    from master.ctl.target import MisuseError
    from protocol.messages.operator import Done, SetQuota
    from protocol.messages.values import Quantity
    from protocol.quantities import parse_quantities

    amounts = []
    for flag, text in zip(("--guarantee", "--limit"), texts, strict=True):
        try:
            parsed = parse_quantities(text)
        except ValueError as error:
            raise MisuseError(f"{flag}: {error}") from None
        amounts.append(tuple(Quantity(name, amount) for name, amount in sorted(parsed.items())))
    question = SetQuota(
        role=role, guarantee=amounts[0], limit=amounts[1], force=is_forced, plan=is_plan
    )
    done = run(ask(target, question, Done))
    words = [f"{what} {text}" for what, text in zip(("guarantee", "limit"), texts, strict=True)]
    said = ", ".join(word for word, text in zip(words, texts, strict=True) if text)
    planned = f"; would be {done.text}; nothing was done" if is_plan else ""
    sys.stdout.write(f"{role}: {said or 'no quota'}{planned}\n")
