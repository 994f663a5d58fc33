"""A scheduler that keeps things: it reserves, makes volumes, uses, resizes and destroys them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from protocol.messages.framework import (
    CreateVolume,
    DestroyVolume,
    Offer,
    Operation,
    Reserve,
    ResizeVolume,
    Unreserve,
)
from protocol.messages.values import Mount, OperationStatus, TaskDescription
from protocol.resources import parse_resources
from schedulers.driver import Driver
from tests.simulation.checkers import Checkers
from tests.simulation.workload import Plan, SeededScheduler

SLICE = parse_resources("cpus:0.5;mem:256MiB;disk:1GiB")
SIZE_BYTES = 100 << 20
HELD_MAX = 3  # reservations, and volumes, of one offer


class HoldingScheduler(SeededScheduler):
    """Mixes operations into its accepts; some cannot be, and then nothing of the accept is."""

    def __init__(self, plan: Plan, checkers: Checkers, rng: random.Random) -> None:
        super().__init__(plan, checkers, rng)
        self._dice = random.Random(repr(rng.getstate()))  # other worlds stay as they are

    def offered(self, driver: Driver, offers: Sequence[Offer]) -> None:
        for offer in offers:
            steps: list[Operation] = []
            if self.plan.tasks_left:  # when all are done it is to become quiet
                steps = [*self._about_reservations(offer), *self._about_volumes(offer)]
            launches = self._mounting(offer, self._launches(offer.resources))
            if not steps and not launches:
                driver.decline([offer], refuse_s=0.5)
                continue
            call = driver.accept([offer], launches, refuse_s=0.5, operations=steps)
            self.calls[call] = tuple(launch.task_id for launch in launches)

    def operated(self, driver: Driver, status: OperationStatus) -> None:
        self._checkers.operated(f"{driver.framework_id}/{status.operation_id}", status.state)

    def _about_reservations(self, offer: Offer) -> list[Operation]:
        steps: list[Operation] = []
        if len(offer.reserved) < HELD_MAX and self._dice.random() < 0.3:
            name = f"r{self._dice.getrandbits(32)}"
            ttl_ns = self._dice.choice((0, 0, 5_000_000_000))
            steps.append(Reserve("", name, offer.role, SLICE, ttl_ns=ttl_ns))
            if self._dice.random() < 0.5:
                volume = f"v{self._dice.getrandbits(32)}"
                is_shared = self._dice.random() < 0.3
                steps.append(CreateVolume("", volume, name, SIZE_BYTES, is_shared))
        for known in offer.reserved:
            if self._dice.random() < 0.15:
                steps.append(Unreserve("", known.id))
            elif self._dice.random() < 0.1:
                steps.append(Reserve("", "", f"{offer.role}/x", known.resources, known.id))
        return steps

    def _about_volumes(self, offer: Offer) -> list[Operation]:
        steps: list[Operation] = []
        for volume in offer.volumes:
            chance = self._dice.random()
            if chance < 0.15:
                steps.append(DestroyVolume("", volume.id))
            elif chance < 0.3:
                size_bytes = self._dice.choice((SIZE_BYTES // 2, 2 * SIZE_BYTES))
                steps.append(ResizeVolume("", volume.id, size_bytes))
        return steps

    def _mounting(self, offer: Offer, launches: list[TaskDescription]) -> list[TaskDescription]:
        for volume, launch in zip(offer.volumes, launches, strict=False):
            if self._dice.random() < 0.7:
                mounts = (Mount(volume.id, "data"),)
                launches[launches.index(launch)] = replace(launch, volumes=mounts)
        return launches
