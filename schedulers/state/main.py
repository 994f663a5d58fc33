"""Main: the command line of `quorate state`."""

import asyncio
import base64
import json
import logging
import sys
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal, NoReturn

import structlog
import typer
import uvloop

from protocol.errors import Fault
from rlog.spaces.messages import Change, Item
from schedulers.framework import DEFAULT_MASTERS, Framework, load_secrets
from schedulers.keeper import Keeper

VALUE_BYTES_MAX = 1 << 20  # read from stdin; masters take less, and say how much

app = typer.Typer(
    help="Look at and change what schedulers keep in the masters' log.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Space = Annotated[str, typer.Argument(metavar="SPACE")]
Key = Annotated[str, typer.Argument(metavar="KEY")]
Version = Annotated[
    int | None,
    typer.Option("--if-version", min=0, help="Only if the key has this one; 0: is not there."),
]
Masters = Annotated[str, typer.Option(envvar="QUORATE_MASTERS", metavar="LIST")]
Credentials = Annotated[str, typer.Option(envvar="QUORATE_CREDENTIALS", metavar="FILE")]
Principal = Annotated[str, typer.Option(metavar="NAME", help="The first framework unless given.")]
Insecure = Annotated[bool, typer.Option("--insecure", help="Show no secret.")]
Output = Annotated[Literal["text", "json"], typer.Option("-o", "--output", help="How to print.")]


@app.command("get")
def get(
    space: Space,
    keys: Annotated[list[str], typer.Argument(metavar="KEY…")],
    masters: Masters = "",
    credentials: Credentials = "",
    principal: Principal = "",
    insecure: Insecure = False,
    output: Output = "text",
) -> None:
    """Print values; a key that there is not is an error."""

    async def work(keeper: Keeper) -> None:
        found = await keeper.fetch(*keys)
        for key in keys:
            if key not in found:
                raise Fault(f"there is no key {key} in space {space}")
            _print_item(found[key], output)

    run_work(work, space, masters, credentials, principal, insecure)


@app.command("put")
def put(
    space: Space,
    key: Key,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="Or - for stdin.")],
    version: Version = None,
    masters: Masters = "",
    credentials: Credentials = "",
    principal: Principal = "",
    insecure: Insecure = False,
) -> None:
    """Store a value, and print its version."""
    content = sys.stdin.buffer.read(VALUE_BYTES_MAX) if value == "-" else value.encode()

    async def work(keeper: Keeper) -> None:
        print_line(str(await keeper.store(key, content, version)))

    run_work(work, space, masters, credentials, principal, insecure)


@app.command("delete")
def delete(
    space: Space,
    key: Key,
    version: Version = None,
    masters: Masters = "",
    credentials: Credentials = "",
    principal: Principal = "",
    insecure: Insecure = False,
) -> None:
    """Remove a key."""

    async def work(keeper: Keeper) -> None:
        await keeper.expunge(key, version)

    run_work(work, space, masters, credentials, principal, insecure)


@app.command("list")
def list_names(
    space: Space,
    prefix: Annotated[str, typer.Argument(metavar="PREFIX")] = "",
    masters: Masters = "",
    credentials: Credentials = "",
    principal: Principal = "",
    insecure: Insecure = False,
) -> None:
    """Print the keys, a line each."""

    async def work(keeper: Keeper) -> None:
        for name in await keeper.names(prefix):
            print_line(name)

    run_work(work, space, masters, credentials, principal, insecure)


@app.command("watch")
def watch(
    space: Space,
    prefix: Annotated[str, typer.Argument(metavar="PREFIX")] = "",
    after: Annotated[
        int | None, typer.Option(metavar="REVISION", min=0, help="Begin there; else now.")
    ] = None,
    masters: Masters = "",
    credentials: Credentials = "",
    principal: Principal = "",
    insecure: Insecure = False,
) -> None:
    """Print changes as lines of JSON as they happen, until ctrl-C."""

    async def work(keeper: Keeper) -> None:
        async for revision in keeper.watch(prefix, after):
            for change in revision.changes:
                print_line(json.dumps({"revision": revision.number, **_plain_change(change)}))

    run_work(work, space, masters, credentials, principal, insecure)


@app.command("remove")
def remove(
    space: Space,
    masters: Masters = "",
    credentials: Credentials = "",
    principal: Principal = "",
    insecure: Insecure = False,
) -> None:
    """Remove a space with all its keys and leases."""

    async def work(keeper: Keeper) -> None:
        await keeper.remove_space()

    run_work(work, space, masters, credentials, principal, insecure)


def run_work(
    work: Callable[[Keeper], Coroutine[Any, Any, None]],
    space: str,
    masters: str,
    credentials: str,
    principal: str,
    insecure: bool,
) -> None:
    """Do the work with a keeper of the space; troubles end with one line and a status."""
    # A person reads the answer, not what links say of themselves.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        framework = Framework(
            name="state",
            masters=masters or DEFAULT_MASTERS,
            principal=principal,
            credentials=load_secrets(credentials, is_insecure=insecure),
        )
        uvloop.run(_work(work, framework, space))
    except ValueError as error:
        give_up(str(error), 2)
    except Fault as error:
        give_up(str(error), 1)


async def _work(
    work: Callable[[Keeper], Coroutine[Any, Any, None]], framework: Framework, space: str
) -> None:
    async with Keeper(framework, space) as keeper:
        await work(keeper)


def _plain_change(change: Change) -> dict[str, object]:
    if change.is_expunged:
        return {"key": change.key, "value": None}
    return {"key": change.key, **plain_value(change.value)}


def plain_value(value: bytes) -> dict[str, object]:
    """Return a value as JSON can hold it."""
    try:
        return {"value": value.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _print_item(item: Item, output: str) -> None:
    if output == "json":
        print_line(
            json.dumps({"key": item.key, **plain_value(item.value), "version": item.version})
        )
        return
    sys.stdout.buffer.write(item.value + b"\n")
    sys.stdout.buffer.flush()


def print_line(line: str) -> None:
    """Print a line at once, for those who follow."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def give_up(text: str, code: int) -> NoReturn:
    """End with one line of trouble."""
    sys.stderr.write(f"quorate: {text}\n")
    raise SystemExit(code)


def main() -> None:
    """Run the command line."""
    try:
        app(prog_name="quorate state")
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise SystemExit(130) from None
