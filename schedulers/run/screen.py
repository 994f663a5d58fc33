"""What a person (or a program, with json) is told on stderr while a job runs."""

import sys

import msgspec
from rich.console import Console
from rich.text import Text

from protocol.messages.values import TaskReason, TaskState, TaskStatus

STYLES = {
    TaskState.RUNNING: "green",
    TaskState.FINISHED: "blue",
    TaskState.FAILED: "red",
    TaskState.ERROR: "red",
    TaskState.LOST: "red",
    TaskState.DROPPED: "red",
    TaskState.GONE: "red",
    TaskState.UNREACHABLE: "red",
}


class Screen:
    """Writes one line per event; colours on a terminal only."""

    def __init__(self, *, is_json: bool) -> None:
        self._is_json = is_json
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)

    def say(self, text: str, style: str = "dim") -> None:
        """Write a remark."""
        if self._is_json:
            self._write_json({"message": text})
        else:
            self._console.print(Text(f"quorate: {text}", style))

    def warn(self, text: str) -> None:
        """Write a trouble."""
        self.say(text, "yellow")

    def show_status(self, status: TaskStatus) -> None:
        """Write a task's new state."""
        if self._is_json:
            self._write_json(status_fields(status))
            return
        line = Text(f"{status.framework_id}/{status.task_id} ")
        line.append(status.state.name, STYLES.get(status.state, "yellow"))
        line.append(describe_status(status), "dim")
        self._console.print(line)

    def print_result(self, lines: list[str], fields: dict[str, object]) -> None:
        """Write the outcome to stdout, for who called us."""
        if self._is_json:
            lines = [msgspec.json.encode(fields).decode()]
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()

    def _write_json(self, fields: dict[str, object]) -> None:
        sys.stderr.write(msgspec.json.encode(fields).decode() + "\n")
        sys.stderr.flush()


def status_fields(status: TaskStatus) -> dict[str, object]:
    """Return a status as programs read it; there is no exit code before the command has ended."""
    is_exited = status.reason == TaskReason.COMMAND_EXITED and not status.signal
    return {
        "task": f"{status.framework_id}/{status.task_id}",
        "state": status.state.name,
        "agent": status.agent_id,
        "reason": status.reason.name,
        "message": status.message,
        "exit_code": status.exit_code if is_exited else None,
        "signal": status.signal or None,
        "pid": status.pid or None,
    }


def describe_status(status: TaskStatus) -> str:
    """Return where a task is or how it ended, to stand behind the state."""
    if status.state in (TaskState.STAGING, TaskState.STARTING, TaskState.KILLING):
        return f" on {status.agent_id}"
    if status.state == TaskState.RUNNING:
        return f" on {status.agent_id}" + (f", pid {status.pid}" if status.pid else "")
    if status.state == TaskState.UNREACHABLE:
        return f": agent {status.agent_id} is silent; waiting for it (ctrl-C gives up)"
    if status.reason == TaskReason.PREEMPTED:
        return ": preempted for a role with less than its share"
    if status.message:
        return f": {status.message}"
    if status.signal:
        return f": signal {status.signal}"
    if status.exit_code:
        return f": exit code {status.exit_code}"
    is_plain = status.state == TaskState.FINISHED
    return "" if is_plain else f": {status.reason.name.lower().replace('_', ' ')}"
