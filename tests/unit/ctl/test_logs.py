"""Logs: why there are none."""

from dataclasses import replace

from master.ctl.logs import explain_silence
from protocol.messages.values import TaskReason, TaskState, TaskStatus

UNFETCHED = TaskStatus(
    framework_id="fw-1",
    task_id="t1",
    state=TaskState.FAILED,
    reason=TaskReason.FETCH_FAILED,
    message="no such host",
)


def test_task_that_never_ran_says_why() -> None:
    assert explain_silence(UNFETCHED) == "fw-1/t1 has no output: FAILED, fetch failed: no such host"


def test_command_that_could_not_be_run_is_named() -> None:
    status = replace(UNFETCHED, reason=TaskReason.COMMAND_EXITED, message="a: not found in PATH")
    assert explain_silence(status) == "fw-1/t1 has no output: FAILED: a: not found in PATH"


def test_task_that_ran_or_may_have_is_not_called_silent() -> None:
    assert explain_silence(replace(UNFETCHED, pid=7)) == ""
    assert explain_silence(replace(UNFETCHED, state=TaskState.STARTING)) == ""
    assert explain_silence(replace(UNFETCHED, reason=TaskReason.AGENT_FORGOT)) == ""
