"""The job: what is to run, how often, and what each instance needs."""

import os
import re
import shlex
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from protocol.constraints import parse_constraint
from protocol.ids import check_id
from protocol.messages.values import Mount, TaskDescription, Uri, Variable
from protocol.resources import parse_resources
from schedulers.matching import Demand, Placement

INSTANCES_MAX = 10_000  # more is a job for a framework that stays
ID_CHARS_MAX = 100  # of a name, so that a number still fits behind it
ARCHIVES = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar", ".zip")


class JobError(Exception):
    """The options do not describe a job; the text names the one that is wrong."""


@dataclass(frozen=True, slots=True)
class JobOptions:
    """What the command line says, unchecked."""

    command: Sequence[str]
    cpus: str = "0.1"
    mem: str = "64MiB"
    disk: str = ""
    gpus: str = ""
    ports: int = 0
    instances: int = 1
    name: str = ""
    variables: Sequence[str] = ()
    uris: Sequence[str] = ()
    constraints: Sequence[str] = ()
    volumes: Sequence[str] = ()
    user: str = ""
    is_shell: bool = False
    cpus_limit: str = ""
    mem_limit: str = ""
    max_time: float = 0
    kill_grace: float = 0
    kill_signal: str = ""
    preemptible: bool = False
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """A task description to be filled in for each instance, and the instances by task id."""

    name: str
    description: TaskDescription
    demands: dict[str, Demand]

    def describe(self, placement: Placement) -> TaskDescription:
        """Return the task that a placement launches."""
        return replace(
            self.description, task_id=placement.demand.name, resources=placement.resources
        )


def make_job(options: JobOptions) -> Job:
    """Return the job that the options describe. Raises: JobError."""
    if not options.command or not options.command[0]:
        raise JobError("no command is given; write it after --, as in: quorate run -- echo hello")
    if not 1 <= options.instances <= INSTANCES_MAX:
        raise JobError(f"--instances {options.instances}: 1 to {INSTANCES_MAX} are allowed")
    if not 0 <= options.ports <= 1000:
        raise JobError(f"--ports {options.ports}: 0 to 1000 are allowed")
    try:
        resources = parse_resources(_join_amounts(options))
        limits = parse_resources(_join({"cpus": options.cpus_limit, "mem": options.mem_limit}))
        constraints = tuple(map(parse_constraint, options.constraints))
    except ValueError as error:
        raise JobError(str(error)) from None
    name = options.name or _name_of(options.command)
    if fault := check_id(name[:ID_CHARS_MAX]):
        raise JobError(f"--name {name!r}: {fault}")
    name = name[:ID_CHARS_MAX]
    command = tuple(options.command)
    if options.is_shell:
        command = ("/bin/sh", "-c", command[0] if len(command) == 1 else shlex.join(command))
    description = TaskDescription(
        name=name,
        command=command,
        environment=tuple(_parse_variable(each) for each in options.variables),
        uris=tuple(_make_uri(each) for each in options.uris),
        user=options.user,
        limits=limits,
        completion_ns=int(options.max_time * 1e9),
        kill_grace_ns=int(options.kill_grace * 1e9),
        kill_signal=_parse_signal(options.kill_signal),
        priority=options.priority,
        is_preemptible=options.preemptible,
        volumes=tuple(_parse_mount(each) for each in options.volumes),
    )
    volumes = tuple(each.volume for each in description.volumes)
    ids = [f"{name}-{number}" for number in range(options.instances)]
    return Job(
        name,
        description,
        {each: Demand(each, resources, options.ports, constraints, volumes) for each in ids},
    )


def _join_amounts(options: JobOptions) -> str:
    return _join({name: getattr(options, name) for name in ("cpus", "mem", "disk", "gpus")})


def _join(amounts: Mapping[str, str]) -> str:
    return ";".join(f"{name}:{amount}" for name, amount in amounts.items() if amount)


def _name_of(command: Sequence[str]) -> str:
    words = command[0].split() or ["task"]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", os.path.basename(words[0])).strip("-.")
    return name or "task"


def _parse_variable(text: str) -> Variable:
    name, sign, value = text.partition("=")
    if not sign or not name or "\0" in text:
        raise JobError(f"--env {text!r} is not of the form NAME=VALUE")
    return Variable(name, value)


def _parse_signal(text: str) -> int:
    """Return the number of `INT`, `SIGINT` or `2`; 0 when none is named."""
    if not text:
        return 0
    name = text.upper()
    try:
        if name.isdecimal():
            return int(signal.Signals(int(name)))
        return int(signal.Signals[name if name.startswith("SIG") else f"SIG{name}"])
    except (KeyError, ValueError):
        raise JobError(f"--kill-signal {text!r} is no signal; give INT, QUIT, 10, …") from None


def _parse_mount(text: str) -> Mount:
    volume, _, rest = text.partition(":")
    path, colon, mode = rest.partition(":")
    if not volume or not path or (colon and mode != "ro"):
        raise JobError(f"--volume {text!r} is not of the form VOLUME:PATH or VOLUME:PATH:ro")
    return Mount(volume, path, is_read_only=mode == "ro")


def _make_uri(text: str) -> Uri:
    if not text.strip():
        raise JobError("--uri is empty")
    return Uri(text, extract=text.split("?", maxsplit=1)[0].lower().endswith(ARCHIVES))
