"""Verbs of the scripts' language about reservations, and the parts of an accept about them."""

from master.core.machine import Command
from master.core.reservations import ReserveByOperator, UnreserveByOperator
from protocol.messages.framework import Operation, Reserve, Unreserve
from protocol.messages.values import Label, StaticReservation
from protocol.resources import parse_resources
from tests.scripts.words import Options, duration, resources_of

TERMS = {"name", "from", "ttl", "label", "kept"}  # options of a reservation, not resources


class Reserving:
    """Mixed into the script; it hands commands to `submit`."""

    def submit(self, command: Command) -> None:
        raise NotImplementedError

    def do_reserve(self, words: list[str], options: Options) -> None:
        """reserve AGENT ROLE AMOUNTS [name=…] [from=…] [ttl=…] [label=key:value]"""
        self.submit(ReserveByOperator(words[0], reservation_of(words[1], options), "operator"))

    def do_unreserve(self, words: list[str], options: Options) -> None:
        """unreserve AGENT NAME [AMOUNTS] [when_free]"""
        when_free = "when_free" in words
        command = UnreserveByOperator(words[0], words[1], resources_of(options), when_free)
        self.submit(command)


def reserving_part(words: list[str], options: Options) -> Operation | None:
    """Return `reserve ROLE AMOUNTS name=…` or `unreserve NAME [AMOUNTS]` of an accept."""
    if words[:1] == ["reserve"]:
        return reservation_of(words[1], options)
    if words[:1] == ["unreserve"]:
        return Unreserve("", words[1], resources_of(options))
    return None


def reservation_of(role: str, options: Options) -> Reserve:
    """Return what is to be reserved, under which terms."""
    name, _, value = options.get("label", "").partition(":")
    amounts = {key: text for key, text in options.items() if key not in TERMS}
    return Reserve(
        reservation=options.get("name", ""),
        role=role,
        resources=resources_of(amounts),
        source=options.get("from", ""),
        labels=(Label(name, value),) if name else (),
        ttl_ns=duration(options.get("ttl", "0s")),
        is_kept="kept" in options,
    )


def static_of(text: str) -> tuple[StaticReservation, ...]:
    """Return what `eng>cpus:1;mem:1GiB,ops>cpus:1` reserves by an agent's configuration."""
    parts = (each.split(">", 1) for each in text.split(",") if each)
    return tuple(StaticReservation(role, parse_resources(amounts)) for role, amounts in parts)
