"""Lent: what is left of the offers of one accept, and what its operations take of it."""

from collections.abc import Sequence
from dataclasses import replace

from master.allocator.tree import is_within
from master.core.disks import disk
from master.core.events import ResourcesReserved, ResourcesUnreserved
from master.core.holdings import Reservations, depth_first, reserve, unreserve
from master.core.records import Agent, Offer, Volume
from protocol.messages.values import Draw, Mount
from protocol.resources import EMPTY, Resources, sum_resources

NOT_RESERVED = "-"  # instead of reservations to take from


class Lent:
    """Knows the agent's reservations as they are when the operations so far are done."""

    def __init__(self, agent: Agent | None, offers: Sequence[Offer]) -> None:
        self.unreserved = sum_resources(offer.unreserved for offer in offers)
        self.reserved: dict[str, Resources] = {}
        self.reservations: Reservations = {}
        self._gained: list[Resources] = []
        self._role = offers[0].role if offers else ""
        for offer in offers:
            for draw in offer.draws:
                self._put(draw.reservation, draw.resources)
        self.volumes: dict[str, Volume] = {}  # that may be used, or changed
        self.names: dict[str, None] = {}  # of all volumes of the agent
        self.mounted: dict[str, None] = {}  # by tasks of this accept
        if agent is not None:
            self.reservations = {name: replace(it) for name, it in agent.reservations.items()}
            self.names = dict.fromkeys(agent.volumes)
            lent = dict.fromkeys(name for offer in offers for name in offer.volumes)
            self.volumes = {name: replace(agent.volumes[name]) for name in lent}

    @property
    def resources(self) -> Resources:
        """All that is left."""
        return sum_resources((self.unreserved, *self.reserved.values()))

    @property
    def refused(self) -> Resources:
        """What is left and was offered like this: what was just reserved, nobody has seen yet."""
        left = self.resources
        if self.volumes:
            held = (each.held_bytes for each in self.volumes.values() if each.kept_bytes)
            left += disk(sum(held))
        return left - (left & sum_resources(self._gained)) if self._gained else left

    def part(self, reservation: str) -> Resources:
        """Return what is left of a reservation, or of none."""
        return self.reserved.get(reservation, EMPTY) if reservation else self.unreserved

    def take(self, wanted: Resources, names: Sequence[str] = ()) -> tuple[Draw, ...] | None:
        """Take resources, of the reservations that are named first; none named: of all, deepest
        first. Return what is taken of each; None, and nothing is taken, when it is too little.
        """
        rest = wanted
        draws: list[Draw] = []
        if self.reserved:
            chosen = names or [each.id for each in depth_first(self.reservations)]
            for name in dict.fromkeys(chosen):
                part = self.part(name) & rest if self._is_ours(name) else EMPTY
                if part:
                    draws.append(Draw(name, part))
                    rest = rest - part
        if not self.unreserved.contains(rest):
            return None
        self.unreserved = self.unreserved - rest
        for draw in draws:
            self._put_off(draw.reservation, draw.resources)
        return tuple(draws)

    def reserve(self, event: ResourcesReserved, now_ns: int) -> None:
        """Move resources into a reservation."""
        told = event.reservation
        self._put_off(event.source, told.resources)
        reserve(self.reservations, event, now_ns)
        self._put(told.id, told.resources)
        self._gained.append(told.resources)

    def unreserve(self, event: ResourcesUnreserved) -> None:
        """Move resources out of a reservation."""
        parent = self.reservations[event.reservation].parent
        self._put_off(event.reservation, event.resources)
        unreserve(self.reservations, event)
        self._put(parent, event.resources)

    def mount(self, mounts: Sequence[Mount]) -> str | None:
        """Use volumes for a task; return why one cannot be used, and then none is."""
        for each in mounts:
            volume = self.volumes.get(each.volume)
            if volume is None:
                return f"volume {each.volume[:140]!r} is not in the offers, or not any more"
            if not self._is_ours(volume.reservation):
                return f"volume {volume.id} is for {self.reservations[volume.reservation].role}"
        for each in mounts:
            self.mounted[each.volume] = None
            if not self.volumes[each.volume].is_shared:
                del self.volumes[each.volume]
        return None

    def create(self, volume: Volume) -> None:
        """Make a volume of reserved disk."""
        self._put_off(volume.reservation, disk(volume.wanted_bytes))
        self.volumes[volume.id] = volume
        self.names[volume.id] = None

    def give(self, volume: Volume, more_bytes: int) -> None:
        """Let a volume have more of its reservation's disk."""
        self._put_off(volume.reservation, disk(more_bytes))

    def _is_ours(self, name: str) -> bool:
        """Whether the role's tasks may use a reservation: one just made may be for a role below."""
        known = self.reservations.get(name)
        return known is not None and is_within(self._role, known.role)

    def _put(self, reservation: str, resources: Resources) -> None:
        if reservation:
            self.reserved[reservation] = self.part(reservation) + resources
        else:
            self.unreserved = self.unreserved + resources

    def _put_off(self, reservation: str, resources: Resources) -> None:
        left = self.part(reservation) - resources
        if not reservation:
            self.unreserved = left
        elif left:
            self.reserved[reservation] = left
        else:
            self.reserved.pop(reservation, None)
