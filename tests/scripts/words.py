"""Words of a script's lines: durations, amounts, tasks, wishes."""

from master.core.settings import SECOND_NS
from protocol.constraints import parse_constraint
from protocol.messages.framework import OfferFilter, Placement, Want
from protocol.messages.values import Attribute, TaskDescription
from protocol.quantities import listed_quantities, parse_quantities
from protocol.resources import Resources, parse_resources

UNITS_NS = {"ns": 1, "ms": 10**6, "s": SECOND_NS, "m": 60 * SECOND_NS, "h": 3600 * SECOND_NS}
Options = dict[str, str]
ANSWERS = {"refuse", "as"}  # options of an accept, not resources


def duration(text: str) -> int:
    """Return nanoseconds: `250ms`, `5s`, `10m`."""
    number = text.rstrip("nmsh")
    return int(number) * UNITS_NS[text[len(number) :]]


def describe(task_id: str, words: Options) -> TaskDescription:
    """Return a task: amounts, and what matters of `command=`, `grace=`, `replaces=`, `limits=`,
    `preemptible=PRIORITY`.
    """
    spec = dict(words)
    command = spec.pop("command", "run")
    grace_ns = duration(spec.pop("grace", "0s"))
    replaces = spec.pop("replaces", "")
    limits = parse_resources(spec.pop("limits", ""))
    priority = spec.pop("preemptible", "")
    resources = resources_of(spec)
    return TaskDescription(
        task_id=task_id,
        command=(command,) if command else (),
        resources=resources,
        kill_grace_ns=grace_ns,
        replaces=replaces,
        limits=limits,
        priority=int(priority or 0),
        is_preemptible=bool(priority),
    )


def parse_want(text: str) -> Want:
    """Return what `3 cpus=1 mem=1GiB ports=2 where=rack=r1;zone!=a` says."""
    count, *words = text.split()
    spec = dict(word.split("=", 1) for word in words)
    constraints = tuple(map(parse_constraint, filter(None, spec.pop("where", "").split(";"))))
    amounts = parse_quantities(";".join(f"{name}:{amount}" for name, amount in spec.items()))
    return Want(listed_quantities(amounts), int(count), constraints)


def parse_filter(text: str) -> OfferFilter:
    """Return what `rack=r1;cpus:4;role=web` says."""
    parts = text.split(";")
    role = next((each[5:] for each in parts if each.startswith("role=")), "")
    where = [each for each in parts if "=" in each and not each.startswith("role=")]
    least = parse_quantities(";".join(each for each in parts if "=" not in each))
    return OfferFilter(role, tuple(map(parse_constraint, where)), listed_quantities(least))


def resources_of(words: Options) -> Resources:
    """Return resources; amounts below zero and the like are taken as they are."""
    raw = {name: int(text[1:]) for name, text in words.items() if text.startswith("!")}
    spec = ";".join(
        f"{name}:{text}" for name, text in words.items() if name not in ANSWERS | raw.keys()
    )
    parsed = parse_resources(spec)
    return Resources({**parsed.scalars, **raw}, parsed.ranges, parsed.sets)


def parse_placements(text: str) -> tuple[Placement, ...]:
    """Return what `a1@3 t1 cpus=1 mem=1GiB / a2 t2 cpus=1 mem=1GiB` says."""
    placements = []
    for part in text.split(" / "):
        where, task_id, *words = part.split()
        agent_id, _, version = where.partition("@")
        task = describe(task_id, dict(word.split("=", 1) for word in words))
        placements.append(Placement(agent_id, int(version or 0), (task,)))
    return tuple(placements)


def parse_attributes(text: str) -> tuple[Attribute, ...]:
    """Return what `rack:r1,zone:a` says."""
    return tuple(Attribute(*each.split(":")) for each in filter(None, text.split(",")))
