"""Main: the command line of `quorate state`."""

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NoReturn

import structlog
import typer
import uvloop

from protocol.errors import Fault
from rlog.client import Keeper, connect
from rlog.client.asking import Asking
from rlog.spaces.messages import Change
from schedulers.framework import DEFAULT_MASTERS, Framework, load_secrets
from schedulers.keeper import door_of
from schedulers.state.show import (
    LEASE_COLUMNS,
    plain_value,
    print_items,
    print_line,
    print_things,
)

VALUE_BYTES_MAX = 1 << 20  # read from stdin; masters take less, and say how much

app = typer.Typer(
    help="Look at and change what is kept in the masters' log, or in a log by itself.",
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
Log = Annotated[
    str,
    typer.Option(
        envvar="QUORATE_LOG", metavar="LIST", help="host:port,… of a `quorate rlog`; not masters."
    ),
]
Masters = Annotated[str, typer.Option(envvar="QUORATE_MASTERS", metavar="LIST")]
Credentials = Annotated[str, typer.Option(envvar="QUORATE_CREDENTIALS", metavar="FILE")]
Principal = Annotated[str, typer.Option(metavar="NAME", help="The first that may unless given.")]
Insecure = Annotated[bool, typer.Option("--insecure", help="Show no secret.")]
Output = Annotated[
    Literal["text", "table", "json"], typer.Option("-o", "--output", help="How to print.")
]

Form = Annotated[Literal["table", "json"], typer.Option("-o", "--output", help="How to print.")]


@app.command("get")
def get(
    space: Space,
    keys: Annotated[list[str], typer.Argument(metavar="KEY…")],
    log: Log = "",
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
        print_items([found[key] for key in keys], output)

    run_work(work, space, Reach(log, masters, credentials, principal, insecure))


@app.command("put")
def put(
    space: Space,
    key: Key,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="Or - for stdin.")],
    version: Version = None,
    log: Log = "",
    masters: Masters = "",
    credentials: Credentials = "",
    principal: Principal = "",
    insecure: Insecure = False,
) -> None:
    """Store a value, and print its version."""
    content = sys.stdin.buffer.read(VALUE_BYTES_MAX) if value == "-" else value.encode()

    async def work(keeper: Keeper) -> None:
        print_line(str(await keeper.store(key, content, version)))

    run_work(work, space, Reach(log, masters, credentials, principal, insecure))


@app.command("delete")
def delete(
    space: Space,
    key: Key,
    version: Version = None,
    log: Log = "",
    masters: Masters = "",
    credentials: Credentials = "",
    principal: Principal = "",
    insecure: Insecure = False,
) -> None:
    """Remove a key."""

    async def work(keeper: Keeper) -> None:
        await keeper.expunge(key, version)

    run_work(work, space, Reach(log, masters, credentials, principal, insecure))


@app.command("list")
def list_names(
    space: Space,
    prefix: Annotated[str, typer.Argument(metavar="PREFIX")] = "",
    log: Log = "",
    masters: Masters = "",
    credentials: Credentials = "",
    principal: Principal = "",
    insecure: Insecure = False,
    output: Output = "text",
) -> None:
    """Print the keys, a line each; as a table or JSON with versions and values."""

    async def work(keeper: Keeper) -> None:
        names = await keeper.names(prefix)
        if output == "text":
            for name in names:
                print_line(name)
        else:
            found = await keeper.fetch(*names)
            print_items([found[name] for name in names if name in found], output)

    run_work(work, space, Reach(log, masters, credentials, principal, insecure))


@app.command("leases")
def list_leases(
    space: Space,
    log: Log = "",
    masters: Masters = "",
    credentials: Credentials = "",
    principal: Principal = "",
    insecure: Insecure = False,
    output: Form = "table",
) -> None:
    """Print who holds which lease."""

    async def work(keeper: Keeper) -> None:
        print_things(LEASE_COLUMNS, (await keeper.describe()).leases, output)

    run_work(work, space, Reach(log, masters, credentials, principal, insecure))


@app.command("watch")
def watch(
    space: Space,
    prefix: Annotated[str, typer.Argument(metavar="PREFIX")] = "",
    after: Annotated[
        int | None, typer.Option(metavar="REVISION", min=0, help="Begin there; else now.")
    ] = None,
    log: Log = "",
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

    run_work(work, space, Reach(log, masters, credentials, principal, insecure))


@app.command("remove")
def remove(
    space: Space,
    log: Log = "",
    masters: Masters = "",
    credentials: Credentials = "",
    principal: Principal = "",
    insecure: Insecure = False,
) -> None:
    """Remove a space with all its keys and leases."""

    async def work(keeper: Keeper) -> None:
        await keeper.remove_space()

    run_work(work, space, Reach(log, masters, credentials, principal, insecure))


@dataclass(frozen=True, slots=True)
class Reach:
    """Which log is meant, and as whom we come to it."""

    log: str
    masters: str
    credentials: str
    principal: str
    is_insecure: bool

    def connect(self) -> Asking:
        """Return how to ask, not begun. Raises: ValueError."""
        secrets = load_secrets(self.credentials, is_insecure=self.is_insecure)
        if self.log:
            return connect(self.log, secrets, principal=self.principal)
        masters = self.masters or DEFAULT_MASTERS
        framework = Framework(
            "state", masters=masters, principal=self.principal, credentials=secrets
        )
        return Asking(door_of(framework))


def run_work(work: Callable[[Keeper], Coroutine[Any, Any, None]], space: str, reach: Reach) -> None:
    """Do the work with a keeper of the space; troubles end with one line and a status."""
    # A person reads the answer, not what links say of themselves.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        uvloop.run(_work(work, reach, space))
    except ValueError as error:
        give_up(str(error), 2)
    except Fault as error:
        give_up(str(error), 1)


async def _work(
    work: Callable[[Keeper], Coroutine[Any, Any, None]], reach: Reach, space: str
) -> None:
    async with reach.connect() as asking:
        await work(Keeper(asking, space))


def _plain_change(change: Change) -> dict[str, object]:
    if change.is_expunged:
        return {"key": change.key, "value": None}
    return {"key": change.key, **plain_value(change.value)}


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
