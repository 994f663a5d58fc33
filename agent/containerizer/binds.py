"""Binds: volumes where a task finds them in its sandbox.

With mounts of its own the task gets bind mounts, which nobody else sees; without, symbolic links.
The sandbox is the task's user's, who may have put links there: none is followed on the way.
"""

import errno
import os
import pwd
from collections.abc import Sequence

from agent.containerizer.namespaces import MS_NODEV, MS_NOSUID, mount

MS_RDONLY, MS_REMOUNT, MS_BIND = 1, 32, 4096
INSIDE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Bind = tuple[str, str, bool]  # the volume's directory, the path in the sandbox, is it read-only


def attach(
    sandbox: str, binds: Sequence[Bind], has_mounts: bool, user: pwd.struct_passwd | None
) -> None:
    """Let the volumes appear in the sandbox; missing directories on the way are made.

    Raises: OSError.
    """
    for source, path, is_read_only in binds:
        *parents, name = path.split("/")
        inside = os.open(sandbox, INSIDE)
        for parent in parents:
            inside = _enter(inside, parent, user)
        if has_mounts:
            target = _enter(inside, name, user, is_kept=True)
            _bind(source, inside, name, target, is_read_only=is_read_only)
            os.close(target)
        else:
            if is_read_only:
                raise PermissionError(
                    errno.EPERM, "no volume is read-only without namespaces", path
                )
            os.symlink(source, name, dir_fd=inside)
        os.close(inside)


def _enter(inside: int, name: str, user: pwd.struct_passwd | None, *, is_kept: bool = False) -> int:
    """Return a directory in another one, which is closed unless it is kept."""
    try:
        os.mkdir(name, 0o755, dir_fd=inside)
    except FileExistsError:
        found = os.open(name, INSIDE, dir_fd=inside)
    else:
        found = os.open(name, INSIDE, dir_fd=inside)
        if user is not None:
            os.chown(f"/proc/self/fd/{found}", user.pw_uid, user.pw_gid)
    if not is_kept:
        os.close(inside)
    return found


def _bind(source: str, inside: int, name: str, target: int, *, is_read_only: bool) -> None:
    mount(source, f"/proc/self/fd/{target}", "none", MS_BIND)
    top = os.open(name, INSIDE, dir_fd=inside)  # what is mounted there now
    flags = MS_BIND | MS_REMOUNT | MS_NOSUID | MS_NODEV
    mount("none", f"/proc/self/fd/{top}", "none", flags | (MS_RDONLY if is_read_only else 0))
    os.close(top)
