"""What a command of another program's becomes: that program, with its signals and exit codes."""

import os
import sys
from typing import NoReturn

DAEMONS = {
    "master": "master",
    "agent": "agent",
    "rlog": "rlog",
    "run": "schedulers.run",
    "state": "schedulers.state",
    "journal": "schedulers.state.journal",
}
ASKING = ("run", "state", "journal")  # those that find the dev cluster by themselves
TARGETS = {"--masters": "QUORATE_MASTERS", "--log": "QUORATE_LOG"}  # who is asked


def become(daemon: str, arguments: list[str]) -> NoReturn:
    """Replace this process by the daemon's own, so that signals and exit codes are its own."""
    environment = dict(os.environ)
    is_told = not environment.keys().isdisjoint(TARGETS.values()) or any(
        argument.partition("=")[0] in TARGETS for argument in _own_words(arguments)
    )
    if daemon in ASKING and not is_told:
        from master.ctl.target import read_dev_file

        dev = read_dev_file()
        if dev is not None:
            environment["QUORATE_MASTERS"] = ",".join(dev.masters)
            environment.setdefault("QUORATE_CREDENTIALS", dev.credentials)
    command = [sys.executable, "-P", "-m", DAEMONS[daemon], *arguments]
    os.execve(sys.executable, command, environment)  # noqa: S606 – our own module


def _own_words(arguments: list[str]) -> list[str]:
    """Return what is before the user's command, as far as that can be told without the options."""
    for place, word in enumerate(arguments):
        before = arguments[place - 1] if place else ""
        is_value = before.startswith("-") and "=" not in before
        if word == "--" or not (word.startswith("-") or is_value):
            return arguments[:place]
    return arguments
