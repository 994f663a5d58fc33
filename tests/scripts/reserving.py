"""Verbs of the scripts' language about reservations, and the parts of an accept about them."""

from master.core.bookings import RemoveBooking, SetBooking
from master.core.machine import Command
from master.core.operations import AcknowledgeOperations, ReconcileOperations
from master.core.reservations import ReserveByOperator, UnreserveByOperator
from master.core.volumes import ChangeVolumeByOperator, ReportVolumes
from protocol.ids import AgentId, FrameworkId
from protocol.messages.agent import VolumeReport
from protocol.messages.framework import (
    CreateVolume,
    DestroyVolume,
    Operation,
    Reserve,
    ResizeVolume,
    Unreserve,
)
from protocol.messages.operator import ChangeVolume
from protocol.messages.values import (
    Attribute,
    Booking,
    Label,
    Mount,
    StaticReservation,
    Volume,
    VolumeState,
)
from protocol.resources import parse_resources
from tests.scripts.names import Names
from tests.scripts.words import Options, duration, resources_of
from tests.unit.master.leader import Leader

TERMS = {"name", "from", "ttl", "label", "kept", "id"}  # options of a reservation, not resources


class Reserving:
    """Mixed into the script; it hands commands to `submit`."""

    leader: Leader
    names: Names

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

    def do_volume(self, words: list[str], options: Options) -> None:
        """volume create|resize|destroy AGENT NAME [size=1GiB] [of=RESERVATION] [shared]"""
        change = ChangeVolume(
            agent_id=words[1],
            volume=words[2],
            verb=words[0],
            reservation=options.get("of", ""),
            size_bytes=size_of(options),
            is_shared="shared" in words,
        )
        self.submit(ChangeVolumeByOperator(change, "operator"))

    def do_book(self, words: list[str], options: Options) -> None:
        """book NAME ROLE [share=PERCENT] [AMOUNTS] [where=rack:r1] [from=10m] [until=1h]
        [cron=0_22_*_*_*] [for=8h] [lead=30m] [kill]; from and until are counted from now
        """
        terms = {key: options.pop(key, "") for key in ("share", "where", "cron", "from", "until")}
        spans = {key: duration(options.pop(key, "0s")) for key in ("for", "lead")}
        now_ns = self.leader.now_ns
        name, _, value = terms["where"].partition(":")
        booking = Booking(
            id=words[0],
            role=words[1],
            share_millionths=round(float(terms["share"] or 0) * 10_000),
            resources=resources_of(options),
            attributes=(Attribute(name, value),) if name else (),
            cron=terms["cron"].replace("_", " "),
            duration_ns=spans["for"],
            lead_ns=spans["lead"],
            is_killing="kill" in words,
            begin_ns=now_ns + duration(terms["from"]) if terms["from"] else 0,
            end_ns=now_ns + duration(terms["until"]) if terms["until"] else 0,
        )
        self.submit(SetBooking(booking, "operator"))

    def do_unbook(self, words: list[str], options: Options) -> None:
        """unbook NAME"""
        self.submit(RemoveBooking(words[0]))

    def do_report(self, words: list[str], options: Options) -> None:
        """report AGENT VOLUME STATE [size=…] [number=…] [why=…]"""
        agent = self.leader.state.agents[AgentId(words[0])]
        known = agent.volumes.get(words[1])
        number = int(options.get("number", known.number if known else 0))
        size_bytes = size_of(options) or (known.wanted_bytes if known else 0)
        told = Volume(words[1], number, size_bytes=size_bytes, state=VolumeState[words[2].upper()])
        report = VolumeReport(told, options.get("why", "").replace("_", " "))
        self.submit(ReportVolumes(agent.id, (report,)))

    def do_operations(self, words: list[str], options: Options) -> None:
        """operations FRAMEWORK ack|ask [OPERATION…]"""
        framework_id = FrameworkId(self.names.framework_id(words[0]))
        call = AcknowledgeOperations if words[1] == "ack" else ReconcileOperations
        self.submit(call(framework_id, tuple(words[2:])))


def reserving_part(words: list[str], options: Options) -> Operation | None:
    """Return `reserve ROLE AMOUNTS name=…`, `unreserve NAME [AMOUNTS]`, `create NAME size= of=`,
    `resize NAME size=`, `destroy NAME` of an accept, each with an `id=` or without.
    """
    if words[:1] == ["reserve"]:
        return reservation_of(words[1], options)
    if words[:1] == ["unreserve"]:
        operation = options.pop("id", "")
        return Unreserve(operation, words[1], resources_of(options))
    operation, size_bytes = options.get("id", ""), size_of(options)
    match words:
        case ["create", name, *more]:
            of = options["of"]
            return CreateVolume(operation, name, of, size_bytes, "shared" in more)
        case ["resize", name]:
            return ResizeVolume(operation, name, size_bytes)
        case ["destroy", name]:
            return DestroyVolume(operation, name)
        case _:
            return None


def size_of(options: Options) -> int:
    """Return the bytes of `size=1GiB`."""
    return parse_resources(f"disk:{options.get('size', '0B')}").scalars.get("disk", 0)


def mounts_of(text: str) -> tuple[Mount, ...]:
    """Return what `data:path,logs:other:ro` mounts."""
    parts = (each.split(":") for each in text.split(",") if each)
    return tuple(Mount(name, path, bool(mode)) for name, path, *mode in parts)


def reservation_of(role: str, options: Options) -> Reserve:
    """Return what is to be reserved, under which terms."""
    name, _, value = options.get("label", "").partition(":")
    amounts = {key: text for key, text in options.items() if key not in TERMS}
    return Reserve(
        operation_id=options.get("id", ""),
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


def stray_of(text: str) -> tuple[Volume, ...]:
    """Return what `data:7:eng:1GiB` says that an agent keeps."""
    name, number, role, size = text.split(":")
    bytes_ = parse_resources(f"disk:{size}").scalars["disk"]
    return (Volume(name, int(number), "gone", role, bytes_, state=VolumeState.READY),)
