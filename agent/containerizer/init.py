"""Pid 1 of a container: starts the task, reaps orphans, passes signals on, ends with the task.

The kernel keeps signals without handler from pid 1, and orphans come to it: a command is not
prepared for either, so it runs as pid 2.
"""

import os
import signal
import socket
from types import FrameType
from typing import NoReturn

from agent.containerizer.namespaces import close_all_but, furnish_namespaces
from agent.containerizer.task import run_task, tell_failure

PASSED_ON = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


def run_init(control: socket.socket, outcome: socket.socket, oom: str) -> NoReturn:
    """Run the task and tell `outcome` its wait status; the kernel ends whatever is left."""
    try:
        furnish_namespaces()
        task = os.fork()
    except OSError as error:
        tell_failure(control, "namespaces", error)
    if task == 0:
        run_task(control, oom)
    close_all_but(sorted({0, 1, 2, outcome.fileno()}))

    def pass_on(number: int, frame: FrameType | None) -> None:
        os.kill(task, number)  # not reaped yet: the loop below ends with it

    for number in PASSED_ON:
        signal.signal(number, pass_on)
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == task:
            break
    for number in PASSED_ON:
        signal.signal(number, signal.SIG_IGN)
    try:
        outcome.send(str(status).encode())
    except OSError:  # the supervisor was killed: nobody is left to tell
        os._exit(1)
    os._exit(0)
