"""Journal: the command line of `quorate journal`."""

import asyncio
import getpass
import json
import socket
import sys
from collections.abc import AsyncIterator
from typing import Annotated, Literal

import typer

from rlog.client.journal import Journal, Record, Writer
from schedulers.keeper import Keeper
from schedulers.state.main import (
    VALUE_BYTES_MAX,
    Credentials,
    Insecure,
    Masters,
    Principal,
    Space,
    plain_value,
    print_line,
    run_work,
)

app = typer.Typer(
    help="Read and write journals that schedulers keep in the masters' log.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Name = Annotated[str, typer.Argument(metavar="JOURNAL")]
Epoch = Annotated[int, typer.Option(metavar="EPOCH", min=1, help="As `claim` printed it.")]
Output = Annotated[Literal["text", "json"], typer.Option("-o", "--output", help="How to print.")]
From = Annotated[
    int, typer.Option("--from", metavar="POSITION", min=0, help="Else the first that there is.")
]


@app.command("claim")
def claim(
    space: Space,
    name: Name,
    masters: Masters = "",
    credentials: Credentials = "",
    principal: Principal = "",
    insecure: Insecure = False,
) -> None:
    """Become the journal's only writer, and print the epoch; any other writer is fenced."""

    async def work(keeper: Keeper) -> None:
        writer = await Journal(keeper, name).claim(f"{getpass.getuser()}@{socket.gethostname()}")
        print_line(str(writer.epoch))

    run_work(work, space, masters, credentials, principal, insecure)


@app.command("append")
def append(
    space: Space,
    name: Name,
    record: Annotated[str, typer.Argument(metavar="RECORD", help="Or - for stdin.")],
    *,
    epoch: Epoch,
    masters: Masters = "",
    credentials: Credentials = "",
    principal: Principal = "",
    insecure: Insecure = False,
) -> None:
    """Append a record, and print its position."""
    content = sys.stdin.buffer.read(VALUE_BYTES_MAX) if record == "-" else record.encode()

    async def work(keeper: Keeper) -> None:
        print_line(str(await Writer(keeper, name, epoch, 0).append((content,))))

    run_work(work, space, masters, credentials, principal, insecure)


@app.command("read")
def read(
    space: Space,
    name: Name,
    begin: From = 0,
    masters: Masters = "",
    credentials: Credentials = "",
    principal: Principal = "",
    insecure: Insecure = False,
    output: Output = "text",
) -> None:
    """Print the records that there are."""

    async def work(keeper: Keeper) -> None:
        await _print_all(Journal(keeper, name).read(begin), output)

    run_work(work, space, masters, credentials, principal, insecure)


@app.command("tail")
def tail(
    space: Space,
    name: Name,
    begin: From = 0,
    masters: Masters = "",
    credentials: Credentials = "",
    principal: Principal = "",
    insecure: Insecure = False,
    output: Output = "text",
) -> None:
    """Print the records that there are, and those to come, until ctrl-C."""

    async def work(keeper: Keeper) -> None:
        await _print_all(Journal(keeper, name).tail(begin), output)

    run_work(work, space, masters, credentials, principal, insecure)


@app.command("truncate")
def truncate(
    space: Space,
    name: Name,
    first: Annotated[int, typer.Argument(metavar="POSITION", min=1)],
    *,
    epoch: Epoch,
    masters: Masters = "",
    credentials: Credentials = "",
    principal: Principal = "",
    insecure: Insecure = False,
) -> None:
    """Drop all records before a position."""

    async def work(keeper: Keeper) -> None:
        await Writer(keeper, name, epoch, 0).truncate(first)

    run_work(work, space, masters, credentials, principal, insecure)


async def _print_all(records: AsyncIterator[Record], output: str) -> None:
    async for record in records:
        if output == "json":
            print_line(json.dumps({"position": record.position, **plain_value(record.content)}))
        else:
            sys.stdout.buffer.write(record.content + b"\n")
            sys.stdout.buffer.flush()


def main() -> None:
    """Run the command line."""
    try:
        app(prog_name="quorate journal")
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
