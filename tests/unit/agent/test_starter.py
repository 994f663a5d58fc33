"""Starts that come to nothing: it is said why, and in time."""

import asyncio
import socket
from pathlib import Path
from typing import Any, cast

from agent.config import AgentConfig
from agent.containerizer.containerizer import LaunchFailed as NotLaunched
from agent.core.state import State
from agent.core.tasks import ContainerEnded, LaunchFailed
from agent.paths import Paths
from agent.probes import SilentProbe
from agent.starter import Start, Starter, outcome_of
from protocol.messages.agent import Launch
from protocol.messages.values import TaskDescription, TaskReason, Uri


def test_start_whose_server_never_answers_fails_in_time(tmp_path: Path) -> None:
    no_containers = cast(Any, None)
    config = AgentConfig(work_dir=str(tmp_path), insecure=True, fetch_timeout_s=0.2)
    starter = Starter(config, Paths(str(tmp_path)), no_containers, SilentProbe())
    with socket.create_server(("127.0.0.1", 0)) as mute:
        uri = Uri(f"http://127.0.0.1:{mute.getsockname()[1]}/file")
        task = TaskDescription(task_id="t1", command=("true",), uris=(uri,))
        outcome = asyncio.run(_run(starter, Start(Launch(1, "fw-1", "web", task))))
    text = "not there within 0.2 s"
    assert outcome == LaunchFailed(1, TaskReason.FETCH_FAILED, text)


async def _run(starter: Starter, start: Start) -> object:
    try:
        return await starter.run(start, State(agent_id="a1"))
    finally:
        starter.stop()


def test_command_that_is_not_there_has_a_shells_exit_code() -> None:
    text = "nosuch: not found in PATH"
    assert outcome_of(7, NotLaunched("lookup", text)) == ContainerEnded(7, 127, message=text)
    assert outcome_of(7, NotLaunched("fork", "why")) == LaunchFailed(
        7, TaskReason.LAUNCH_FAILED, "fork: why"
    )
