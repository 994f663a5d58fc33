"""Options that many commands share."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from master.ctl.target import Target

Masters = Annotated[
    str, typer.Option(envvar="QUORATE_MASTERS", help="host:port,… of the masters.", metavar="LIST")
]
Credentials = Annotated[
    str,
    typer.Option(envvar="QUORATE_CREDENTIALS", help="File with our secret.", metavar="FILE"),
]
Insecure = Annotated[bool, typer.Option("--insecure", help="The masters ask for no secret.")]
Plan = Annotated[bool, typer.Option("--plan", help="Say what would happen, and do nothing.")]
Output = Annotated[Literal["table", "json"], typer.Option("-o", "--output", help="How to print.")]


def target_of(context: typer.Context, masters: str, credentials: str, insecure: bool) -> "Target":
    """Return the cluster that was named before or after a group's verb."""
    from master.ctl.target import find_target

    before = context.obj or ("", "", False)
    return find_target(masters or before[0], credentials or before[1], insecure or before[2])
