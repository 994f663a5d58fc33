"""A real agent with real processes as tasks, and a master that a test plays."""

import asyncio
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from agent.paths import Paths
from protocol.client import OperatorClient
from protocol.credentials import Credentials
from protocol.handshake import LinkIdentity
from protocol.messages.link import LinkRole
from protocol.messages.operator import Failed, FileChunk, OperatorMessage, ReadFile
from protocol.messages.values import TaskReason, TaskState, Uri
from protocol.resources import parse_resources
from tests.integration.scripted_master import AgentProcess, ScriptedMaster, cluster, until

Scene = Callable[[ScriptedMaster, AgentProcess], Awaitable[None]]


def play(tmp_path: Path, scene: Scene, *options: str) -> None:
    async def act() -> None:
        async with cluster(tmp_path / "work", *options) as (master, agent):
            await scene(master, agent)

    asyncio.run(act())


async def settle(master: ScriptedMaster, number: int, state: TaskState) -> None:
    """Wait for the end of a launch and acknowledge it."""
    master.acknowledge(await master.status(number, state))


def test_registration_tells_what_the_machine_lends(tmp_path: Path) -> None:
    async def scene(master: ScriptedMaster, agent: AgentProcess) -> None:
        told = await master.registration()
        assert told.hostname == "host1"
        assert told.agent_id.startswith("host1-")
        assert told.resources == parse_resources("cpus:2;mem:1GiB;disk:1GiB;ports:[31000-32000]")
        assert [(a.name, a.value) for a in told.attributes] == [("rack", "r1")]
        assert told.tasks == ()

    play(tmp_path, scene)


def test_task_runs_and_finishes(tmp_path: Path) -> None:
    async def scene(master: ScriptedMaster, agent: AgentProcess) -> None:
        await master.registration()
        master.launch(1, "t1", "exit 0")
        running = await master.status(1, TaskState.RUNNING)
        assert running.sequence == 1
        assert running.pid > 0
        await settle(master, 1, TaskState.FINISHED)

    play(tmp_path, scene)


def test_task_that_fails_tells_its_exit_code(tmp_path: Path) -> None:
    async def scene(master: ScriptedMaster, agent: AgentProcess) -> None:
        await master.registration()
        master.launch(1, "t1", "exit 3")
        failed = await master.status(1, TaskState.FAILED)
        assert (failed.exit_code, failed.signal) == (3, 0)
        assert failed.reason is TaskReason.COMMAND_EXITED

    play(tmp_path, scene)


def test_task_finds_where_it_is_in_its_environment(tmp_path: Path) -> None:
    async def scene(master: ScriptedMaster, agent: AgentProcess) -> None:
        told = await master.registration()
        master.launch(1, "t1", "echo $QUORATE_TASK_ID $QUORATE_AGENT_ID $PORT1 $QUORATE_PORTS")
        await master.status(1, TaskState.FINISHED)
        sandbox = Paths(str(tmp_path / "work")).sandbox("f1", "t1", 1)
        expected = f"t1 {told.agent_id} 31001 31000-31001\n"
        assert (sandbox / "stdout").read_text() == expected

    play(tmp_path, scene)


def test_kill_ends_a_task(tmp_path: Path) -> None:
    async def scene(master: ScriptedMaster, agent: AgentProcess) -> None:
        await master.registration()
        master.launch(1, "t1", "exec sleep 100")
        await master.status(1, TaskState.RUNNING)
        master.kill(1, "t1")
        killed = await master.status(1, TaskState.KILLED)
        assert killed.reason is TaskReason.KILLED_BY_FRAMEWORK
        assert killed.signal == signal.SIGTERM

    play(tmp_path, scene)


def test_kill_that_is_ignored_is_forced_after_the_grace(tmp_path: Path) -> None:
    async def scene(master: ScriptedMaster, agent: AgentProcess) -> None:
        await master.registration()
        master.launch(1, "t1", "trap '' TERM; echo ready; while :; do sleep 0.1; done")
        await master.status(1, TaskState.RUNNING)
        output = Paths(str(tmp_path / "work")).sandbox("f1", "t1", 1) / "stdout"
        await until(lambda: output.read_text() != "")
        master.kill(1, "t1", grace_ns=300_000_000)
        killed = await master.status(1, TaskState.KILLED)
        assert killed.signal == signal.SIGKILL

    play(tmp_path, scene)


def test_kill_before_the_container_runs_leaves_none(tmp_path: Path) -> None:
    async def scene(master: ScriptedMaster, agent: AgentProcess) -> None:
        await master.registration()
        master.launch(1, "t1", "exec sleep 100")
        master.kill(1, "t1")
        await settle(master, 1, TaskState.KILLED)

    play(tmp_path, scene)


def test_status_is_repeated_until_it_is_acknowledged(tmp_path: Path) -> None:
    async def scene(master: ScriptedMaster, agent: AgentProcess) -> None:
        await master.registration()
        master.launch(1, "t1", "exit 0")
        await master.status(1, TaskState.FINISHED)
        master.statuses.clear()
        await settle(master, 1, TaskState.FINISHED)

    play(tmp_path, scene)


def test_agent_killed_finds_its_running_task_again(tmp_path: Path) -> None:
    async def scene(master: ScriptedMaster, agent: AgentProcess) -> None:
        first = await master.registration()
        master.launch(1, "t1", "exec sleep 100")
        running = await master.status(1, TaskState.RUNNING)
        await agent.end(signal.SIGKILL)
        os.kill(running.pid, 0)
        await agent.start()
        second = await master.registration()
        assert second.agent_id == first.agent_id
        assert [(task.state, task.pid) for task in second.tasks] == [
            (TaskState.RUNNING, running.pid)
        ]
        master.kill(1, "t1")
        await settle(master, 1, TaskState.KILLED)

    play(tmp_path, scene)


def test_agent_killed_learns_how_its_task_ended_meanwhile(tmp_path: Path) -> None:
    async def scene(master: ScriptedMaster, agent: AgentProcess) -> None:
        await master.registration()
        release = tmp_path / "release"
        master.launch(1, "t1", f"until [ -e {release} ]; do sleep 0.05; done; exit 7")
        running = await master.status(1, TaskState.RUNNING)
        await agent.end(signal.SIGKILL)
        release.touch()
        await until(lambda: not Path(f"/proc/{running.pid}").exists())
        await agent.start()
        (told,) = (await master.registration()).tasks
        assert (told.state, told.exit_code) == (TaskState.FAILED, 7)
        await settle(master, 1, TaskState.FAILED)

    play(tmp_path, scene)


def test_agent_stopped_leaves_its_tasks_running(tmp_path: Path) -> None:
    async def scene(master: ScriptedMaster, agent: AgentProcess) -> None:
        await master.registration()
        master.launch(1, "t1", "exec sleep 100")
        running = await master.status(1, TaskState.RUNNING)
        code, _ = await agent.end(signal.SIGTERM)
        assert code == 0
        os.kill(running.pid, 0)

    play(tmp_path, scene)


def test_agent_on_another_boot_reports_its_tasks_as_failed(tmp_path: Path) -> None:
    async def scene(master: ScriptedMaster, agent: AgentProcess) -> None:
        await master.registration()
        master.launch(1, "t1", "exec sleep 100")
        await master.status(1, TaskState.RUNNING)
        await agent.end(signal.SIGKILL)
        again = AgentProcess(tmp_path / "work", f"127.0.0.1:{master.port}", "--set", "boot_id=b2")
        await again.start()
        (told,) = (await master.registration()).tasks
        assert (told.state, told.reason) == (TaskState.FAILED, TaskReason.AGENT_RESTARTED)
        await again.end(signal.SIGTERM)

    play(tmp_path, scene)


def test_agent_registers_with_the_leader_of_a_higher_epoch(tmp_path: Path) -> None:
    async def scene(master: ScriptedMaster, agent: AgentProcess) -> None:
        await master.registration()
        master.launch(1, "t1", "exec sleep 100")
        await master.status(1, TaskState.RUNNING)
        await master.stop()
        successor = ScriptedMaster(epoch=2)
        await successor.start(master.port)
        (told,) = (await successor.registration()).tasks
        assert told.state is TaskState.RUNNING
        successor.kill(1, "t1")
        await settle(successor, 1, TaskState.KILLED)
        await successor.stop()

    play(tmp_path, scene)


def test_uri_that_cannot_be_fetched_fails_the_task(tmp_path: Path) -> None:
    async def scene(master: ScriptedMaster, agent: AgentProcess) -> None:
        await master.registration()
        missing = tmp_path / "missing"
        master.launch(1, "t1", "exit 0", Uri(str(missing)))
        failed = await master.status(1, TaskState.FAILED)
        assert failed.reason is TaskReason.FETCH_FAILED
        assert str(missing) in failed.message

    play(tmp_path, scene)


def test_uri_is_there_when_the_task_starts(tmp_path: Path) -> None:
    tool = tmp_path / "tool.sh"
    tool.write_text("#!/bin/sh\nexit 5\n")

    async def scene(master: ScriptedMaster, agent: AgentProcess) -> None:
        await master.registration()
        master.launch(1, "t1", "./tool.sh", Uri(f"file://{tool}", executable=True))
        assert (await master.status(1, TaskState.FAILED)).exit_code == 5

    play(tmp_path, scene)


def test_fetch_that_hangs_holds_neither_a_kill_nor_the_agent(tmp_path: Path) -> None:
    async def scene(master: ScriptedMaster, agent: AgentProcess) -> None:
        uri = Uri(f"http://127.0.0.1:{silent.getsockname()[1]}/file")
        await master.registration()
        master.launch(1, "t1", "exit 0", uri)
        master.launch(2, "t2", "exit 0", uri)
        master.launch(3, "t3", "exit 0")
        await master.status(3, TaskState.FINISHED)
        master.kill(1, "t1")
        await master.status(1, TaskState.KILLED)
        code, _ = await agent.end(signal.SIGTERM)
        assert code == 0

    with socket.create_server(("127.0.0.1", 0)) as silent:  # connects, and never answers
        play(tmp_path, scene)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs tasks as other users")
def test_task_runs_as_its_user() -> None:
    async def scene(master: ScriptedMaster, agent: AgentProcess) -> None:
        await master.registration()
        master.launch(1, "t1", "test $(id -un) = nobody && touch file", user="nobody")
        await settle(master, 1, TaskState.FINISHED)

    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        play(Path(directory), scene)


@pytest.mark.skipif(os.geteuid() != 0, reason="control groups need root")
def test_task_over_its_memory_is_told_so(tmp_path: Path) -> None:
    async def scene(master: ScriptedMaster, agent: AgentProcess) -> None:
        told = await master.registration()
        if not any("memory" in fence for fence in told.isolation):
            pytest.skip("this machine limits no memory")
        hungry = f"exec {sys.executable} -c 'bytearray(300 << 20)'"
        master.launch(1, "t1", hungry)
        failed = await master.status(1, TaskState.FAILED)
        assert failed.reason is TaskReason.MEMORY_LIMIT

    play(tmp_path, scene, "--backend", "native")


def test_user_that_does_not_exist_fails_the_task(tmp_path: Path) -> None:
    async def scene(master: ScriptedMaster, agent: AgentProcess) -> None:
        await master.registration()
        master.launch(1, "t1", "exit 0", user="nobody-of-this-name")
        failed = await master.status(1, TaskState.FAILED)
        assert failed.reason is TaskReason.LAUNCH_FAILED
        assert "nobody-of-this-name" in failed.message

    play(tmp_path, scene)


def test_output_of_a_task_can_be_read_from_the_agent(tmp_path: Path) -> None:
    async def scene(master: ScriptedMaster, agent: AgentProcess) -> None:
        told = await master.registration()
        master.launch(1, "t1", "echo hello")
        await master.status(1, TaskState.FINISHED)
        chunk = await ask(told.address, ReadFile(1, "f1", "t1", "stdout", 2, 100))
        assert isinstance(chunk, FileChunk)
        assert (chunk.content, chunk.size_bytes, chunk.is_final) == (b"llo\n", 6, True)
        failed = await ask(told.address, ReadFile(2, "f1", "t2", "stdout"))
        assert isinstance(failed, Failed)
        assert failed.reason == "UNKNOWN_TASK"

    play(tmp_path, scene)


async def ask(address: str, request: OperatorMessage) -> OperatorMessage:
    identity = LinkIdentity(LinkRole.OPERATOR, "test", "", Credentials.insecure())
    client = await OperatorClient.connect_agent(address, identity)
    try:
        return await client.ask(request)
    finally:
        await client.close()


def test_work_dir_is_used_by_one_agent(tmp_path: Path) -> None:
    async def scene(master: ScriptedMaster, agent: AgentProcess) -> None:
        await master.registration()
        assert agent.process is not None
        second = AgentProcess(tmp_path / "work", f"127.0.0.1:{master.port}")
        await second.start()
        code, errors = await second.wait()
        assert code == 2
        assert str(agent.process.pid) in errors.splitlines()[-1]

    play(tmp_path, scene)
