"""The runtime directory of a container: what was asked, who runs, how it ended.

<work_dir>/containers/<launch>/
    spec.json    the order, written by the agent before it asks
    claim        made once by the launcher, locked by the supervisor as long as it lives
    pid.json     fsynced before the command is let go
    exit.json    how it ended, or why it never began

Named tuples here and in cgroups, for what the launcher imports is copied into every supervisor, and
dataclasses bring `inspect` and its company along.
"""

import fcntl
import json
import os
from typing import NamedTuple

CLAIM, SPEC, PID, EXIT = "claim", "spec.json", "pid.json", "exit.json"


class Order(NamedTuple):
    """What a supervisor is to run; `hierarchy` empty: no control groups."""

    container: str
    argv: list[str]
    environment: dict[str, str]
    sandbox: str
    cpus_milli: int
    memory_bytes: int
    pids_max: int
    user: str
    hostname: str
    has_namespaces: bool
    hierarchy: dict[str, object]
    binds: tuple[tuple[str, str, bool], ...] = ()  # directory, path in the sandbox, is read-only
    cpus_limit_milli: int = 0
    memory_limit_bytes: int = 0


class PidRecord(NamedTuple):
    """Which processes are a container: task and supervisor, and pid 1 of its namespace (or 0)."""

    pid: int
    start_ticks: int
    init: int
    init_ticks: int
    supervisor: int
    supervisor_ticks: int
    boot_id: str


class ExitRecord(NamedTuple):
    """How a container ended; `failed_step` says that the command was never run."""

    exit_code: int = 0
    signal: int = 0
    cpu_ns: int = 0
    memory_peak_bytes: int = 0
    oom_kills: int = 0
    text: str = ""
    failed_step: str = ""


def write_order(directory: str, order: Order) -> None:
    """Write the order; not durable, for it is read at once or never."""
    handle = os.open(f"{directory}/{SPEC}", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with open(handle, "wb") as file:
        file.write(json.dumps(order._asdict()).encode())


def read_order(directory: str) -> Order:
    with open(f"{directory}/{SPEC}", "rb") as file:
        order = Order(**json.loads(file.read()))
    return order._replace(binds=tuple(map(tuple, order.binds)))  # type: ignore[arg-type]


def take_claim(directory: str) -> int:
    """Return the locked claim; the lock lives with its holders. Raises FileExistsError."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
    handle = os.open(f"{directory}/{CLAIM}", flags, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def is_claimed(directory: str) -> bool:
    return os.path.exists(f"{directory}/{CLAIM}")


def is_supervised(directory: str) -> bool:
    """Whether a supervisor of this claim lives."""
    try:
        handle = os.open(f"{directory}/{CLAIM}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def drop_claim(directory: str) -> None:
    os.unlink(f"{directory}/{CLAIM}")


def write_pid(directory: str, record: PidRecord) -> None:
    """Make the record durable, together with the name of the claim."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
    handle = os.open(f"{directory}/{PID}", flags, 0o600)
    try:
        os.write(handle, json.dumps(record._asdict()).encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    sync_directory(directory)


def write_exit(directory: str, record: ExitRecord) -> None:
    """Write the record so that it is there as a whole or not at all."""
    path = f"{directory}/{EXIT}"
    handle = os.open(f"{path}.tmp", os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, json.dumps(record._asdict()).encode())
        os.fdatasync(handle)
    finally:
        os.close(handle)
    os.rename(f"{path}.tmp", path)


def read_pid(directory: str) -> PidRecord | None:
    """Return the record; None when it is not there or was torn by a power cut."""
    content = _read(f"{directory}/{PID}")
    try:
        return PidRecord(**json.loads(content))
    except ValueError:
        return None


def read_exit(directory: str) -> ExitRecord | None:
    content = _read(f"{directory}/{EXIT}")
    return ExitRecord(**json.loads(content)) if content else None


def sync_directory(directory: str) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""
