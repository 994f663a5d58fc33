"""Journal: the command line of `quorate journal`."""

import asyncio
import getpass
import socket
import sys
from typing import Annotated, Literal

import typer

from rlog.client import Journal, Keeper, Writer
from schedulers.state.main import (
    VALUE_BYTES_MAX,
    Credentials,
    Form,
    Insecure,
    Log,
    Masters,
    Output,
    Principal,
    Reach,
    Space,
    run_work,
)
from schedulers.state.show import JOURNAL_COLUMNS, print_line, print_records, print_things

app = typer.Typer(
    help="Read and write journals that are kept in the masters' log, or in a log by itself.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Name = Annotated[str, typer.Argument(metavar="JOURNAL")]
Epoch = Annotated[int, typer.Option(metavar="EPOCH", min=1, help="As `claim` printed it.")]
Lines = Annotated[Literal["text", "json"], typer.Option("-o", "--output", help="How to print.")]
From = Annotated[
    int, typer.Option("--from", metavar="POSITION", min=0, help="Else the first that there is.")
]


@app.command("claim")
def claim(
    space: Space,
    name: Name,
    log: Log = "",
    masters: Masters = "",
    credentials: Credentials = "",
    principal: Principal = "",
    insecure: Insecure = False,
) -> None:
    """Become the journal's only writer, and print the epoch; any other writer is fenced."""

    async def work(keeper: Keeper) -> None:
        writer = await Journal(keeper, name).claim(f"{getpass.getuser()}@{socket.gethostname()}")
        print_line(str(writer.epoch))

    run_work(work, space, Reach(log, masters, credentials, principal, insecure))


@app.command("append")
def append(
    space: Space,
    name: Name,
    record: Annotated[str, typer.Argument(metavar="RECORD", help="Or - for stdin.")],
    *,
    epoch: Epoch,
    log: Log = "",
    masters: Masters = "",
    credentials: Credentials = "",
    principal: Principal = "",
    insecure: Insecure = False,
) -> None:
    """Append a record, and print its position."""
    content = sys.stdin.buffer.read(VALUE_BYTES_MAX) if record == "-" else record.encode()

    async def work(keeper: Keeper) -> None:
        print_line(str(await Writer(keeper, name, epoch, 0).append((content,))))

    run_work(work, space, Reach(log, masters, credentials, principal, insecure))


@app.command("list")
def list_journals(
    space: Space,
    log: Log = "",
    masters: Masters = "",
    credentials: Credentials = "",
    principal: Principal = "",
    insecure: Insecure = False,
    output: Form = "table",
) -> None:
    """Print the journals of a space, and who writes them."""

    async def work(keeper: Keeper) -> None:
        print_things(JOURNAL_COLUMNS, (await keeper.describe()).journals, output)

    run_work(work, space, Reach(log, masters, credentials, principal, insecure))


@app.command("read")
def read(
    space: Space,
    name: Name,
    begin: From = 0,
    log: Log = "",
    masters: Masters = "",
    credentials: Credentials = "",
    principal: Principal = "",
    insecure: Insecure = False,
    output: Output = "text",
) -> None:
    """Print the records that there are."""

    async def work(keeper: Keeper) -> None:
        if output == "table":
            print_records([each async for each in Journal(keeper, name).read(begin)], output)
            return
        async for record in Journal(keeper, name).read(begin):
            print_records((record,), output)

    run_work(work, space, Reach(log, masters, credentials, principal, insecure))


@app.command("tail")
def tail(
    space: Space,
    name: Name,
    begin: From = 0,
    log: Log = "",
    masters: Masters = "",
    credentials: Credentials = "",
    principal: Principal = "",
    insecure: Insecure = False,
    output: Lines = "text",
) -> None:
    """Print the records that there are, and those to come, until ctrl-C."""

    async def work(keeper: Keeper) -> None:
        async for record in Journal(keeper, name).tail(begin):
            print_records((record,), output)

    run_work(work, space, Reach(log, masters, credentials, principal, insecure))


@app.command("truncate")
def truncate(
    space: Space,
    name: Name,
    first: Annotated[int, typer.Argument(metavar="POSITION", min=1)],
    *,
    epoch: Epoch,
    log: Log = "",
    masters: Masters = "",
    credentials: Credentials = "",
    principal: Principal = "",
    insecure: Insecure = False,
) -> None:
    """Drop all records before a position."""

    async def work(keeper: Keeper) -> None:
        await Writer(keeper, name, epoch, 0).truncate(first)

    run_work(work, space, Reach(log, masters, credentials, principal, insecure))


def main() -> None:
    """Run the command line."""
    try:
        app(prog_name="quorate journal")
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
