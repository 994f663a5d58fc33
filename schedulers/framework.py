"""What a framework brings: its identity towards the masters, and the program that decides."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from protocol.credentials import Credentials, load_credentials
from protocol.handshake import LinkIdentity
from protocol.messages.framework import (
    ClusterView,
    InverseOffer,
    Offer,
    OfferFilter,
    Recall,
    Subscribe,
    Transacted,
)
from protocol.messages.link import LinkRole
from protocol.messages.values import Label, OperationStatus, TaskStatus

if TYPE_CHECKING:
    from schedulers.driver import Driver


DEFAULT_MASTERS = "127.0.0.1:7000"


@dataclass(frozen=True, slots=True)
class Framework:
    """A scheduler's registered identity, and how it reaches the masters.

    `framework_id` of an earlier run, or the same `token`, takes that framework over with its
    tasks. `failover_timeout_s` is how long tasks live on while no scheduler is connected.
    """

    name: str
    masters: str = DEFAULT_MASTERS
    roles: tuple[str, ...] = ("default",)
    user: str = ""
    failover_timeout_s: float = 0.0
    framework_id: str = ""
    token: str = ""
    cluster: str = ""
    principal: str = ""
    credentials: Credentials = field(default_factory=Credentials.insecure, repr=False)
    labels: tuple[Label, ...] = ()
    filters: tuple[OfferFilter, ...] = ()  # of all offers, those that one of its role lets through

    @property
    def addresses(self) -> tuple[str, ...]:
        """The masters' addresses, one by one."""
        return tuple(part.strip() for part in self.masters.split(",") if part.strip())

    def subscribe(self, call: int, framework_id: str, token: str) -> Subscribe:
        """Return the call that registers this scheduler."""
        return Subscribe(
            call=call,
            framework_id=framework_id,
            token=token,
            name=self.name,
            user=self.user,
            hostname=socket.gethostname(),
            roles=self.roles,
            failover_timeout_ns=int(self.failover_timeout_s * 1e9),
            labels=self.labels,
            filters=self.filters,
            takes_inverse=True,
        )

    def identify(self) -> LinkIdentity:
        """Return how to greet the masters.

        Raises: ValueError when the credentials hold no secret for a framework.
        """
        name = f"{self.name}:{os.getpid()}"
        principal = self.principal or self.credentials.principal_for(LinkRole.FRAMEWORK)
        return LinkIdentity(LinkRole.FRAMEWORK, name, principal, self.credentials, self.cluster)


def load_secrets(path: str, *, is_insecure: bool) -> Credentials:
    """Return the secrets to show. Raises: ValueError when there are none."""
    if is_insecure:
        return Credentials.insecure()
    if not path:
        raise ValueError(
            "no secret to show: give --credentials FILE (or set QUORATE_CREDENTIALS), or "
            "--insecure when the masters run so; `quorate dev` starts a cluster that needs neither"
        )
    return load_credentials(path)


class Scheduler:
    """The program that decides; override what you need. Callbacks must not block.

    A callback that raises ends the driver, which raises the same out of `run`.
    """

    def subscribed(self, driver: Driver, tasks: Sequence[TaskStatus]) -> None:
        """The framework is known to the leading master; `tasks` are those that have not ended."""

    def offered(self, driver: Driver, offers: Sequence[Offer]) -> None:
        """Resources are lent: accept or decline each, now or later. By default: decline."""
        driver.decline(offers)

    def rescinded(self, driver: Driver, offers: Sequence[str]) -> None:
        """These offers are void."""

    def asked_to_leave(self, driver: Driver, offers: Sequence[InverseOffer]) -> None:
        """Agents are going to be emptied: have left by then, and answer whether you shall.

        By default nothing is answered, and what is still there then is killed.
        """

    def may_stay(self, driver: Driver, offers: Sequence[str]) -> None:
        """These inverse offers are void: their agents stay, or have nothing of ours any more."""

    def updated(self, driver: Driver, status: TaskStatus) -> None:
        """A task's state changed, once for each change; acknowledged when this returns.

        A status with `sequence` 0 answers a reconciliation and may repeat what is known.
        """

    def operated(self, driver: Driver, status: OperationStatus) -> None:
        """How an operation went: FINISHED or FAILED, acknowledged when this returns.

        It may come twice; PENDING and UNKNOWN only answer a reconciliation.
        """

    def done(self, driver: Driver, call: int) -> None:
        """A call has taken effect, durably."""

    def refused(self, driver: Driver, call: int, reason: str, text: str) -> None:
        """A call surely had no effect: UNKNOWN_OFFER, OVER_CLAIMED, LOST_OFFER, …

        But for UNCERTAIN: a transaction that was on its way when the link broke.

        Offers of a refused accept that are still open are declined after this unless used here.
        """

    def asked_back(self, driver: Driver, recalls: Sequence[Recall]) -> None:
        """Preemptible tasks are in the way of a role with less than its share: end them.

        Those that have not ended after the grace are killed, with the reason PREEMPTED.
        """

    def viewed(self, driver: Driver, view: ClusterView) -> None:
        """What agents have free by now, those that changed; an agent of version 0 is gone."""

    def transacted(self, driver: Driver, answer: Transacted) -> None:
        """A transaction was decided: committed but for its conflicts, or not at all."""

    def disconnected(self, driver: Driver) -> None:
        """No leading master is connected; the driver looks for it. Tasks run on."""

    def failed(self, driver: Driver, reason: str, text: str) -> None:
        """The masters will not have this scheduler any more; `run` ends with `Denied`."""
