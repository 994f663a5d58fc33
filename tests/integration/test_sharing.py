"""How frameworks share real agents: by asking, by rivalry, and by transactions."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from protocol.credentials import load_credentials
from protocol.messages.framework import ClusterView, Offer, Placement, Transacted, Want
from protocol.messages.values import TaskDescription, TaskState, TaskStatus
from protocol.quantities import listed_quantities, parse_quantities
from protocol.resources import parse_resources
from schedulers import Driver, Framework, Scheduler, is_ended
from tests.clusters import Cluster, running_cluster

NEED = "cpus:0.1;mem:32MiB"
WAIT_S_MAX = 60.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(1, 1, tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


class Once(Scheduler):
    """Runs one task to its end, then stops."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.offers: list[Offer] = []
        self.ended = TaskState.UNKNOWN

    def updated(self, driver: Driver, status: TaskStatus) -> None:
        if is_ended(status.state):
            self.ended = status.state
            driver.stop()

    def describe(self) -> TaskDescription:
        return TaskDescription("once", command=("true",), resources=parse_resources(NEED))


class Planner(Once):
    """Launches on the first agent that it sees, first on one that is not there."""

    def subscribed(self, driver: Driver, tasks: Sequence[TaskStatus]) -> None:
        driver.observe()

    def viewed(self, driver: Driver, view: ClusterView) -> None:
        for agent in view.agents:
            if agent.version and not self.heard:
                self.heard.append("view")
                nowhere = Placement("nowhere", 0, (self.describe(),))
                here = Placement(agent.agent_id, agent.version, (self.describe(),))
                driver.transact([nowhere, here])

    def transacted(self, driver: Driver, answer: Transacted) -> None:
        self.heard += [each.reason for each in answer.conflicts]
        self.heard.append(f"committed {answer.is_committed}")


class Asker(Once):
    """Asks for one task, and launches it on what it is offered."""

    def subscribed(self, driver: Driver, tasks: Sequence[TaskStatus]) -> None:
        driver.request([Want(listed_quantities(parse_quantities(NEED)), 1)])

    def offered(self, driver: Driver, offers: Sequence[Offer]) -> None:
        self.offers += offers
        driver.accept(offers[:1], [self.describe()])


class Holder(Once):
    """Holds what it is offered until that is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.has_offer = asyncio.Event()

    def offered(self, driver: Driver, offers: Sequence[Offer]) -> None:
        self.offers += offers
        self.has_offer.set()

    def rescinded(self, driver: Driver, offers: Sequence[str]) -> None:
        self.heard.append("rescinded")
        driver.stop()


def driver_of(cluster: Cluster, scheduler: Once, role: str) -> Driver:
    target = cluster.embedded.target
    framework = Framework(
        name=type(scheduler).__name__.lower(),
        masters=",".join(target.masters),
        roles=(role,),
        credentials=load_credentials(target.credentials),
    )
    return Driver(framework, scheduler)


def test_open_role_launches_in_a_transaction_and_hears_of_conflicts(cluster: Cluster) -> None:
    assert cluster.quorate("policy", "set", "plan", "--open").returncode == 0

    async def main() -> Planner:
        planner = Planner()
        async with asyncio.timeout(WAIT_S_MAX):
            await driver_of(cluster, planner, "plan").run()
        return planner

    planner = asyncio.run(main())
    assert planner.heard == ["view", "AGENT_NOT_LINKED", "committed True"]
    assert planner.ended is TaskState.FINISHED


def test_offer_is_as_large_as_what_is_asked_for(cluster: Cluster) -> None:
    async def main() -> Asker:
        asker = Asker()
        async with asyncio.timeout(WAIT_S_MAX):
            await driver_of(cluster, asker, "ask").run()
        return asker

    asker = asyncio.run(main())
    assert asker.offers[0].resources == parse_resources(NEED)
    assert asker.ended is TaskState.FINISHED


def test_first_accept_has_a_shared_offer_and_the_other_hears_of_it(cluster: Cluster) -> None:
    assert cluster.quorate("policy", "set", "share", "--sharers", "2").returncode == 0

    async def main() -> tuple[Holder, Asker]:
        holder, asker = Holder(), Asker()
        async with asyncio.timeout(WAIT_S_MAX):
            holding = asyncio.create_task(driver_of(cluster, holder, "share").run())
            await holder.has_offer.wait()
            await driver_of(cluster, asker, "share").run()
            await holding
        return holder, asker

    holder, asker = asyncio.run(main())
    assert holder.heard == ["rescinded"]
    assert asker.offers[0].is_shared and asker.offers[0].resources == holder.offers[0].resources
    assert asker.ended is TaskState.FINISHED
