"""The first process of a container, from its fork to its exec."""

import errno
import json
import os
import pwd
import signal
import socket
from typing import NoReturn

from agent.cgroups.mounts import restore_hierarchy
from agent.containerizer.namespaces import (
    close_all_but,
    close_on_exec_from,
    restore_signal,
    set_hostname,
    set_no_new_privileges,
)
from agent.containerizer.records import Order, read_order

KEPT_BY_THE_C_LIBRARY = (32, 33)
ENTER, READY, GO = b"enter", b"ready", b"go"
PATH_DEFAULT = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MESSAGE_BYTES_MAX = 8192
TEXT_CHARS_MAX = 500  # of an error; a character takes up to 12 bytes of the message
NAME_CHARS_MAX = 100  # of a command, so that what is wrong with it still fits behind
LOOKUP, EXEC = "lookup", "exec"  # the command is not there; it cannot be run


class StepError(Exception):
    """A step of the launch could not be done."""

    def __init__(self, step: str, text: str) -> None:
        super().__init__(step, text)
        self.step = step
        self.text = text


def find_user(name: str) -> pwd.struct_passwd | None:
    """Return whom to become; None: stay who we are."""
    if not name:
        return None
    try:
        user = pwd.getpwnam(name)
    except (KeyError, ValueError):
        raise StepError("user", f"there is no user {name} on this machine") from None
    if user.pw_uid == os.geteuid():
        return None
    if os.geteuid() != 0:
        raise StepError("user", f"only an agent run by root can run tasks as {name}")
    return user


def run_task(control: socket.socket, oom: str) -> None:
    """Become the command, or tell `control` the step that failed; returns in neither case.

    The first message names the directory of the order; ENTER says that the control groups are
    there; READY is sent from inside; exec waits for GO. The other end closing ends us.
    """
    step = "order"
    try:
        close_all_but(sorted({0, 1, 2, control.fileno()}))
        order = read_order(_hear(control))
        user = find_user(order.user)
        step = "signals"
        os.setsid()
        _reset_signals()
        _write_oom_score(oom)
        os.umask(0o022)
        step = "hostname"
        if order.has_namespaces and order.hostname:
            set_hostname(order.hostname)
        step = "cgroup"
        _hear(control)
        _enter_groups(order)
        control.send(READY)
        step = "volumes"
        if order.binds:
            from agent.containerizer.binds import attach  # few need what it brings along

            attach(order.sandbox, order.binds, order.has_namespaces, user)
        step = "sandbox"
        _open_output(order.sandbox, user)
        step = "user"
        if user is not None:
            _become(user)
        step = "sandbox"
        os.chdir(order.sandbox)
        step = "privileges"
        set_no_new_privileges()
        environment = order.environment
        environment.setdefault("PATH", PATH_DEFAULT)
        step = EXEC
        _hear(control)
        if not order.argv:
            raise StepError(step, "the command is empty")
        close_on_exec_from(3)
        try:
            os.execvpe(order.argv[0], order.argv, environment)  # noqa: S606 - a shell is not wanted
        except OSError as error:
            raise explain_exec(order.argv[0], error) from None
    except BaseException as error:
        tell_failure(control, step, error)


def explain_exec(command: str, error: OSError) -> StepError:
    """Return what is wrong with a command that could not be run, as a shell tells it apart."""
    name = command if len(command) <= NAME_CHARS_MAX else f"{command[:NAME_CHARS_MAX]}…"
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        if "/" not in command:
            return StepError(LOOKUP, f"{name}: not found in PATH")
        if os.path.exists(command):
            return StepError(EXEC, f"{name}: its interpreter is not there")
        return StepError(LOOKUP, f"{name}: no such file")
    if isinstance(error, PermissionError):
        return StepError(EXEC, f"{name}: not executable")
    if error.errno == errno.ENOEXEC:
        return StepError(EXEC, f"{name}: not executable: neither a program nor begun with #!")
    return StepError(EXEC, f"{name}: {error.strerror}")


def _hear(control: socket.socket) -> str:
    """Return the supervisor's next message; without a supervisor there is nothing to do."""
    message = control.recv(MESSAGE_BYTES_MAX)
    if not message:
        os._exit(127)
    return message.decode()


def tell_failure(control: socket.socket, step: str, error: BaseException) -> NoReturn:
    """Tell the supervisor why there will be no task, and end."""
    text = str(error)
    if isinstance(error, StepError):
        step, text = error.step, error.text
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.strerror} [errno {error.errno}]"
        text += f": {error.filename}" if error.filename else ""
    control.send(json.dumps([step, text[:TEXT_CHARS_MAX]]).encode())
    os._exit(127)


def _enter_groups(order: Order) -> None:
    if not order.hierarchy:
        return
    for path in restore_hierarchy(order.hierarchy).entrances(order.container):
        handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        os.write(handle, b"0")
        os.close(handle)


def _reset_signals() -> None:
    """Undo what Python and the launcher changed: a command expects the defaults."""
    for number in range(1, signal.NSIG):
        if number in KEPT_BY_THE_C_LIBRARY:
            restore_signal(number)  # whoever started the agent may have ignored even these
        elif number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _write_oom_score(value: str) -> None:
    try:
        handle = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        os.write(handle, value.encode())
        os.close(handle)
    except OSError:  # a hint to the kernel, no promise of ours
        return


def _open_output(sandbox: str, user: pwd.struct_passwd | None) -> None:
    handle = os.open("/dev/null", os.O_RDONLY)
    os.dup2(handle, 0)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    for target, name in ((1, "stdout"), (2, "stderr")):
        handle = os.open(f"{sandbox}/{name}", flags, 0o644)
        if user is not None:
            os.fchown(handle, user.pw_uid, user.pw_gid)
        os.dup2(handle, target)
    if user is not None:
        os.chown(sandbox, user.pw_uid, user.pw_gid, follow_symlinks=False)


def _become(user: pwd.struct_passwd) -> None:
    os.initgroups(user.pw_name, user.pw_gid)
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
