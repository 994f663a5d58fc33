"""Sandbox: the working directory of a launch, removed long after it ended."""

import os
import pwd
import shutil
from collections.abc import Collection
from dataclasses import dataclass

from agent.archive import Owner
from agent.paths import Paths, Sandbox
from protocol.errors import Fault

KEPT_MIN = 200  # ended sandboxes that stay whatever their age
KEPT_MAX = 5000  # ended sandboxes that stay whatever their youth: a disk has only so many inodes
MAKE_TRIES = 3


class NoSuchUser(Fault):
    """The task's user cannot be had here; the text says why."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a task runs as: `user` empty and no owner mean the agent's own."""

    user: str = ""
    owner: Owner = None


def account_of(task_user: str, framework_user: str, default_user: str) -> Account:
    """Whom a task runs as: who it names, else its framework's, else the agent's default.

    An agent that is not root runs everything as itself and refuses a task that names another.
    Raises: NoSuchUser.
    """
    if os.geteuid() != 0:
        own = _name_of(os.geteuid())
        if task_user not in ("", own):
            raise NoSuchUser(f"the agent runs as {own} and cannot run a task as {task_user!r}")
        return Account()
    user = task_user or framework_user or default_user
    if not user:
        return Account()
    try:
        found = pwd.getpwnam(user)
    except (KeyError, ValueError):
        raise NoSuchUser(f"there is no user {user!r} on this machine") from None
    return Account(user, (found.pw_uid, found.pw_gid))


def make_sandbox(sandbox: Sandbox, owner: Owner) -> None:
    """Make an empty directory that belongs to the task's user.

    What an earlier attempt of the same launch left is removed: it never ran.
    Raises: OSError.
    """
    shutil.rmtree(sandbox.path, ignore_errors=True)
    for attempt in range(MAKE_TRIES):
        try:
            os.makedirs(sandbox.path.parent, mode=0o755, exist_ok=True)
            os.mkdir(sandbox.path, 0o755)
            break
        except FileNotFoundError:  # the parent was empty and has just been removed
            if attempt == MAKE_TRIES - 1:
                raise
    if owner is not None:
        os.chown(sandbox.path, *owner)


def mark_ended(sandbox: Sandbox, stamp_ns: int) -> None:
    """Let the time until removal begin."""
    try:
        os.utime(sandbox.path, ns=(stamp_ns, stamp_ns), follow_symlinks=False)
    except FileNotFoundError:
        return


def choose_expired(
    ended: Collection[tuple[int, Sandbox]], now_ns: int, age_ns: int
) -> list[Sandbox]:
    """The sandboxes to remove, oldest first: beyond the newest ones and old, or far too many.

    Shapes: `ended` holds pairs of the end's time in nanoseconds and the sandbox.
    """
    newest_first = sorted(ended, key=lambda pair: (pair[0], pair[1].launch), reverse=True)
    expired = [
        sandbox
        for rank, (stamp_ns, sandbox) in enumerate(newest_first)
        if rank >= KEPT_MAX or (rank >= KEPT_MIN and now_ns - stamp_ns > age_ns)
    ]
    return expired[::-1]


def collect_sandboxes(
    paths: Paths, live: Collection[int], now_ns: int, age_ns: int
) -> list[Sandbox]:
    """Remove what has expired of the launches that are not live; return what was removed."""
    ended = []
    for sandbox in paths.all_sandboxes():
        if sandbox.launch not in live:
            try:
                ended.append((sandbox.path.lstat().st_mtime_ns, sandbox))
            except FileNotFoundError:
                continue
    expired = choose_expired(ended, now_ns, age_ns)
    for sandbox in expired:
        shutil.rmtree(sandbox.path, ignore_errors=True)
        try:
            sandbox.path.parent.rmdir()
        except OSError:
            continue  # other sandboxes are in it
    return expired


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
