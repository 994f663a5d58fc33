"""Volumes of a real cluster: data outlives its task, its framework and its agent's process."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from protocol.credentials import load_credentials
from protocol.messages.framework import CreateVolume, Offer, Operation, Reserve
from protocol.messages.values import Mount, OperationStatus, TaskDescription, TaskStatus
from protocol.resources import parse_resources
from schedulers import Driver, Framework, Scheduler, is_ended
from tests.clusters import Cluster, running_cluster, wait_for
from tests.containers import needs_root

NEED = parse_resources("cpus:0.1;mem:32MiB")
RESERVED = parse_resources("cpus:0.1;mem:32MiB;disk:64MiB")
END_S_MAX = 60.0


class OneTask(Scheduler):
    """Runs one task with a volume, made of what it reserves unless it is there."""

    def __init__(self, command: str, mount: Mount) -> None:
        self.command, self.mount = command, mount
        self.ended: asyncio.Future[TaskStatus] = asyncio.get_running_loop().create_future()
        self.operations: list[OperationStatus] = []
        self.call = 0
        self.told = asyncio.Event()  # how its operations went, if there are any

    def offered(self, driver: Driver, offers: Sequence[Offer]) -> None:
        for offer in offers:
            is_there = any(each.id == self.mount.volume for each in offer.volumes)
            if self.call or not offer.resources.contains(NEED):
                driver.decline([offer])
                continue
            steps: tuple[Operation, ...] = ()
            if is_there:
                self.told.set()
            else:
                role = offer.role
                steps = (
                    Reserve("reserve", "mine", role, RESERVED),
                    CreateVolume("create", self.mount.volume, "mine", 32 << 20),
                )
            task = TaskDescription(
                task_id=f"{driver.framework_id}-task",
                command=("/bin/sh", "-c", self.command),
                resources=NEED,
                volumes=(self.mount,),
            )
            self.call = driver.accept([offer], [task], operations=steps)

    def operated(self, driver: Driver, status: OperationStatus) -> None:
        self.operations.append(status)
        if status.operation_id == "create":
            self.told.set()

    def updated(self, driver: Driver, status: TaskStatus) -> None:
        if is_ended(status.state) and not self.ended.done():
            self.ended.set_result(status)

    def refused(self, driver: Driver, call: int, reason: str, text: str) -> None:
        self.ended.set_exception(AssertionError(f"{reason}: {text}"))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with running_cluster(1, 1, tmp_path, resources="cpus:1;mem:512MiB;disk:1GiB") as cluster:
        yield cluster


def run_task(cluster: Cluster, name: str, command: str, mount: Mount) -> OneTask:
    """Run a framework's one task to its end, and tear the framework down."""

    async def body() -> OneTask:
        target = cluster.embedded.target
        framework = Framework(
            name,
            masters=",".join(target.masters),
            roles=("db",),
            failover_timeout_s=60.0,
            credentials=load_credentials(target.credentials),
        )
        scheduler = OneTask(command, mount)
        driver = Driver(framework, scheduler)
        running = asyncio.create_task(driver.run())
        status = await asyncio.wait_for(scheduler.ended, END_S_MAX)
        assert status.state.name == "FINISHED", status
        await asyncio.wait_for(scheduler.told.wait(), END_S_MAX)
        driver.stop()
        await running
        return scheduler

    return asyncio.run(body())


@needs_root
def test_data_outlives_task_framework_and_agent(cluster: Cluster) -> None:
    first = run_task(cluster, "one", "echo kept > data/file", Mount("data", "data"))
    assert {each.operation_id for each in first.operations} == {"reserve", "create"}
    assert {each.state.name for each in first.operations} == {"FINISHED"}
    (volume,) = cluster.ask("volume")
    assert (volume["volume"], volume["role"], volume["state"]) == ("data", "db", "READY")
    (agent,) = cluster.embedded.agents
    agent.kill()
    cluster.settle()
    read = 'read line < in/here/file && [ "$line" = kept ] && ! touch in/here/more'
    run_task(cluster, "two", read, Mount("data", "in/here", True))
    directory = next(cluster.embedded.directory.glob("**/volumes"))
    assert [path.name for path in directory.iterdir()] == ["data.1"]
    assert os.listdir(directory / "data.1") == ["file"]
    name = volume["agent_id"]
    planned = cluster.quorate("volume", "destroy", name, "data", "--plan")
    assert planned.stdout == f"would be done: {name} data: destroyed with all that is in it\n"
    assert cluster.quorate("volume", "destroy", name, "data", "--yes").returncode == 0
    assert os.listdir(directory) == []
    wait_for(lambda: cluster.ask("reservations") == [], "the reservation to end with it")


@needs_root
def test_operator_makes_resizes_and_destroys_a_volume(cluster: Cluster) -> None:
    (agent,) = cluster.ask("agents")
    name = agent["agent_id"]
    assert cluster.quorate("reserve", name, "db", "disk:100MiB", "--name", "d").returncode == 0
    made = cluster.quorate("volume", "create", name, "d", "40MiB", "--name", "v", "--shared")
    assert (made.returncode, made.stdout) == (0, f"{name} v: volume of 40MiB for db\n")
    too_big = cluster.quorate("volume", "resize", name, "v", "200MiB")
    assert (too_big.returncode, "disk:60MiB is free" in too_big.stderr) == (1, True)
    assert cluster.quorate("volume", "resize", name, "v", "90MiB").returncode == 0
    fill = (
        "--role",
        "db/filler",
        "--volume",
        "v:v",
        "--shell",
        "--",
        "head -c 1000000 /dev/zero > v/x",
    )
    assert cluster.quorate("run", *fill).returncode == 0
    too_small = cluster.quorate("volume", "resize", name, "v", "500KiB")
    assert (too_small.returncode, "bytes are in it" in too_small.stderr) == (1, True)
    (volume,) = cluster.ask("volume")
    assert (volume["size_bytes"], volume["is_shared"]) == (90 << 20, True)
    assert "90MiB" in cluster.quorate("volume").stdout
    assert cluster.quorate("volume", "destroy", name, "v", "--yes").returncode == 0
    assert cluster.ask("volume") == []
