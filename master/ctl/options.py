"""Options that many commands share."""

from typing import Annotated, Literal

import typer

Masters = Annotated[
    str, typer.Option(envvar="QUORATE_MASTERS", help="host:port,… of the masters.", metavar="LIST")
]
Credentials = Annotated[
    str,
    typer.Option(envvar="QUORATE_CREDENTIALS", help="File with our secret.", metavar="FILE"),
]
Insecure = Annotated[bool, typer.Option("--insecure", help="The masters ask for no secret.")]
Output = Annotated[Literal["table", "json"], typer.Option("-o", "--output", help="How to print.")]
