"""Containers whose agent, launcher or supervisor dies: who survives, and what is known after."""

import asyncio
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from agent.containerizer import records
from agent.containerizer.containerizer import (
    Exited,
    Started,
    WorkDirectoryInUse,
)
from agent.containerizer.native import NativeContainerizer
from agent.containerizer.processes import find_descendants, kill_all, read_start_ticks, read_stat
from tests.containers import (
    STUBBORN,
    Containers,
    each_backend,
    find_groups,
    find_processes,
    needs_root,
    python,
    run_containers,
    wait_for_end,
)


@each_backend
def test_new_agent_adopts_what_runs_and_hears_what_ended(tmp_path: Path, backend: str) -> None:
    async def body(containers: Containers) -> None:
        names = [f"c{number}" for number in range(20)]
        started = {name: await containers.launch(name, "sleep", "3600") for name in names}
        await containers.containerizer.stop()
        for name in names[:5]:
            os.kill(started[name].pid, signal.SIGTERM)
        await containers.replace()
        ended = 0
        for name in names:
            adopted = await containers.containerizer.adopt(name)
            if isinstance(adopted, Exited):  # or it was still ending, and is told by on_exit
                assert name in names[:5]
                assert adopted.signal == signal.SIGTERM
                ended += 1
            else:
                assert adopted == started[name]
                if name in names[:5]:
                    assert (await containers.end_of(name)).signal == signal.SIGTERM
        os.kill(started["c9"].pid, signal.SIGKILL)
        assert (await containers.end_of("c9")).signal == signal.SIGKILL
        assert await containers.containerizer.adopt("never-launched") is None

    run_containers(tmp_path, backend, body)


@each_backend
def test_launcher_may_die_while_containers_run(tmp_path: Path, backend: str) -> None:
    async def body(containers: Containers) -> None:
        before = containers.containerizer.launcher_pid
        await containers.launch("c1", "/bin/sh", "-c", "while [ ! -e go ]; do sleep 0.01; done")
        os.kill(before, signal.SIGKILL)
        await containers.launch("c2", "/bin/sh", "-c", "exit 2")
        assert containers.containerizer.launcher_pid != before
        assert (await containers.end_of("c2")).exit_code == 2
        Path(tmp_path, "sandboxes", "c1", "go").touch()
        assert (await containers.end_of("c1")).exit_code == 0

    run_containers(tmp_path, backend, body)


@each_backend
def test_launches_in_flight_survive_the_launcher(tmp_path: Path, backend: str) -> None:
    """Each is either running or surely not: nothing is unknown and nothing runs unseen."""

    async def body(containers: Containers) -> None:
        names = [f"c{number}" for number in range(12)]
        specs = [containers.spec(name, "sleep", "3600") for name in names]
        launches = [asyncio.ensure_future(containers.containerizer.launch(s)) for s in specs]
        await asyncio.wait(launches, return_when=asyncio.FIRST_COMPLETED)
        os.kill(containers.containerizer.launcher_pid, signal.SIGKILL)
        outcomes = dict(zip(names, await asyncio.gather(*launches), strict=True))
        running = find_processes(f"{tmp_path}/sandboxes")
        started = [n for n, outcome in outcomes.items() if isinstance(outcome, Started)]
        assert started
        assert sorted(line.rsplit("/", 1)[1] for line in running) == sorted(started)

    run_containers(tmp_path, backend, body)


@each_backend
def test_lost_supervisor_leaves_the_task_watched(tmp_path: Path, backend: str) -> None:
    async def body(containers: Containers) -> None:
        started = await containers.launch("c", "sleep", "3600")
        record = records.read_pid(f"{tmp_path}/containers/c")
        assert record is not None
        os.kill(record.supervisor, signal.SIGKILL)
        await wait_for_end(record.supervisor)
        assert read_start_ticks(started.pid) == started.start_ticks
        await containers.replace()
        assert await containers.containerizer.adopt("c") == started
        await containers.containerizer.kill("c", grace_s=10)
        exited = await containers.end_of("c")
        assert exited.was_lost

    run_containers(tmp_path, backend, body)


@each_backend
def test_lost_supervisor_and_task_are_found_lost(tmp_path: Path, backend: str) -> None:
    async def body(containers: Containers) -> None:
        await containers.launch("c", *python(STUBBORN))
        await containers.wait_for_output("c", "ready")
        record = records.read_pid(f"{tmp_path}/containers/c")
        assert record is not None
        os.kill(record.supervisor, signal.SIGKILL)
        await wait_for_end(record.supervisor)
        await containers.containerizer.signal("c", signal.SIGKILL)
        assert (await containers.end_of("c")).was_lost
        adopted = await containers.containerizer.adopt("c")
        assert isinstance(adopted, Exited)
        assert adopted.was_lost

    if backend == "process":
        pytest.skip("without cgroups, nobody knows the other sessions of a lost supervisor")
    run_containers(tmp_path, backend, body)


@each_backend
def test_container_of_an_earlier_boot_is_not_running(tmp_path: Path, backend: str) -> None:
    async def body(containers: Containers) -> None:
        await containers.launch("c", "/bin/true")
        await containers.end_of("c")
        directory = f"{tmp_path}/containers/c"
        record = records.read_pid(directory)
        assert record is not None
        os.unlink(f"{directory}/exit.json")
        os.unlink(f"{directory}/pid.json")
        live = record._replace(pid=os.getpid(), start_ticks=read_start_ticks(os.getpid()))
        records.write_pid(directory, live._replace(boot_id="another"))
        adopted = await containers.containerizer.adopt("c")
        assert isinstance(adopted, Exited)
        assert adopted.was_lost

    run_containers(tmp_path, backend, body)


@each_backend
def test_claim_without_supervisor_may_be_launched_again(tmp_path: Path, backend: str) -> None:
    async def body(containers: Containers) -> None:
        directory = Path(tmp_path, "containers", "c")
        directory.mkdir(parents=True)
        os.close(records.take_claim(str(directory)))  # whoever held it was killed at once
        assert await containers.containerizer.adopt("c") is None
        await containers.launch("c", "/bin/true")
        assert (await containers.end_of("c")).exit_code == 0

    run_containers(tmp_path, backend, body)


@each_backend
def test_second_agent_on_a_work_directory_is_refused(tmp_path: Path, backend: str) -> None:
    async def body(containers: Containers) -> None:
        second = NativeContainerizer(str(tmp_path), time.time_ns, backend)
        with pytest.raises(WorkDirectoryInUse, match="another agent"):
            await second.start()
        await second.stop()
        await containers.launch("c", "/bin/true")

    run_containers(tmp_path, backend, body)


@each_backend
def test_destroy_ends_a_container_that_still_runs(tmp_path: Path, backend: str) -> None:
    async def body(containers: Containers) -> None:
        started = await containers.launch("c", "sleep", "3600")
        await containers.replace()
        await containers.containerizer.destroy("c")
        assert read_start_ticks(started.pid) != started.start_ticks
        assert not Path(tmp_path, "containers", "c").exists()

    run_containers(tmp_path, backend, body)


@needs_root
def test_groups_of_forgotten_containers_are_swept(tmp_path: Path) -> None:
    async def body(containers: Containers) -> None:
        await containers.launch("c", "sleep", "3600")
        groups = {path for path in find_groups(tmp_path) if path.endswith("/c")}
        assert groups
        orphans = {path.removesuffix("/c") + "/orphan" for path in groups}
        for path in orphans:
            os.mkdir(path)
        await containers.replace()
        assert not orphans & find_groups(tmp_path)
        assert groups <= find_groups(tmp_path)

    run_containers(tmp_path, "native", body)


@each_backend
def test_launcher_of_another_version_steps_aside(tmp_path: Path, backend: str) -> None:
    async def body(containers: Containers) -> None:
        started = await containers.launch("c", "sleep", "3600")
        before = containers.containerizer.launcher_pid
        await containers.containerizer.stop()
        directory = os.open(tmp_path, os.O_RDONLY)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
            link.settimeout(60)
            link.connect(f"/proc/self/fd/{directory}/launcher.sock")
            link.send(b'{"version": 0}')
            assert b'"version": 1' in link.recv(4096)
        os.close(directory)
        await wait_for_end(before)
        await containers.replace()
        assert containers.containerizer.launcher_pid != before
        assert await containers.containerizer.adopt("c") == started

    run_containers(tmp_path, backend, body)


@each_backend
def test_idle_supervisor_may_be_killed(tmp_path: Path, backend: str) -> None:
    async def body(containers: Containers) -> None:
        await containers.launch("c", "/bin/true")
        await containers.end_of("c")
        launcher = containers.containerizer.launcher_pid
        for _ in range(3):
            await asyncio.sleep(0.05)  # some are being forked, some wait: any may be met
            below = find_descendants(launcher)
            kill_all([pid for pid in below if read_stat(pid)[1:2] == [str(launcher)]])
        for number in range(5):
            await containers.launch(f"c{number}", "/bin/true")

    run_containers(tmp_path, backend, body)
