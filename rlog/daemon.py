"""The life of a process that is a member of a log: begun, ended by a signal or a broken log."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn, Protocol

import structlog
import uvloop

from protocol.errors import Broken, CorruptLog, Fault, NewerLog
from protocol.settings import ConfigError
from rlog.directory import DATA
from rlog.member import MemberConfig
from rlog.repair import prepare

BIG_BYTES = 512 << 20  # of a data file: some seconds' reading

log = structlog.get_logger()


class Member(Protocol):
    """What is served: `master.master.Master`, `rlog.alone.member.LoneMember`."""

    on_broken: Callable[[Broken], None]

    @property
    def is_leading(self) -> bool: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class Exporter(Protocol):
    """A page of metrics that is served."""

    async def stop(self) -> None: ...


Export = Callable[[], Awaitable[Exporter]]
Serve = Callable[[], Awaitable[None]]


def flags_of(kind: type[MemberConfig], given: Mapping[str, Any]) -> dict[str, object]:
    """Return what was given on a command line of the settings of this kind."""
    return {
        key: given[key]
        for key in kind.__struct_fields__
        if key in given and given[key] not in ("", False)
    }


def run_member(command: str, config: MemberConfig, serve: Serve) -> None:
    """Serve until the end; troubles are one line on stderr and the exit status 1."""
    for warning in config.warnings():
        log.warning("unlikely setting", warning=warning)
    try:
        os.makedirs(config.data_dir, mode=0o700, exist_ok=True)
        _serve_on_sound_data(config, serve)
    except NewerLog as error:
        give_up(command, f"{config.data_dir}: {error}", 1)
    except (Fault, ConfigError) as error:
        give_up(command, str(error), 1)
    except OSError as error:
        text = error.strerror or str(error)
        give_up(command, f"{error.filename}: {text}" if error.filename else text, 1)


def _serve_on_sound_data(config: MemberConfig, serve: Serve) -> None:
    """Serve; begin anew when the data file turns out to be damaged, and was repaired.

    Raises: Fault, ConfigError, OSError with a text for the operator.
    """
    is_repairing = config.repair == "auto"
    met: CorruptLog | None = None
    while True:
        _tell_of_big_file(config.data_dir)
        is_new = prepare(config.data_dir, config.name, config.cluster, is_repairing=is_repairing)
        if met is not None and not is_new:
            raise met  # the file is whole: it is not the disk that is wrong
        try:
            return uvloop.run(_await(serve))
        except CorruptLog as error:
            met = error


def _tell_of_big_file(directory: str) -> None:
    """Say why nothing else is said for a while."""
    with contextlib.suppress(OSError):
        size = os.stat(os.path.join(directory, DATA)).st_blocks * 512
        if size >= BIG_BYTES:
            log.info("reading all of the data file first", directory=directory, bytes=size)


async def _await(serve: Serve) -> None:
    await serve()


async def serve_until_stopped(
    member: Member, config: MemberConfig, export: Export | None = None
) -> None:
    """Run a member until a signal comes or its log cannot be trusted any more.

    Raises: Fault, OSError with a text for the operator.
    """
    noun = config.NOUN
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[str] = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _settle, stopped, signal.Signals(number).name)

    def on_broken(error: Broken) -> None:
        if not stopped.done():
            stopped.set_exception(error)

    member.on_broken = on_broken
    exporter = None
    try:
        if export is not None:
            exporter = await export()
        await member.start()
        log.info(f"{noun} started", name=config.name, voters=",".join(config.voters))
        reason = await stopped
        log.info(f"{noun} stops", reason=reason, is_leader=member.is_leading)
    finally:
        await member.stop()
        if exporter is not None:
            await exporter.stop()


def give_up(command: str, text: str, code: int) -> NoReturn:
    """End with one line for the operator."""
    print(f"{command}: {text}", file=sys.stderr)  # noqa: T201 – the operator's one line
    sys.exit(code)


def _settle(stopped: "asyncio.Future[str]", reason: str) -> None:
    if not stopped.done():
        stopped.set_result(reason)
