"""Supervisors forked ahead of need: a launch then waits for no fork."""

import os
import signal
import socket
from typing import NamedTuple

from agent.containerizer.namespaces import close_all_but
from agent.containerizer.supervisor import DESCRIPTORS, run_supervisor

IDLE_MAX = 3  # each is three processes of some 1.3 MB of their own


class Idle(NamedTuple):
    """A supervisor that waits on the other end of `link` for its container."""

    pid: int
    link: socket.socket


class Pool:
    """Idle supervisors, all with namespaces or all without."""

    def __init__(self, is_namespaced: bool, boot_id: str, oom: str) -> None:
        """Make an empty pool; nothing is forked before `refill`."""
        self._is_namespaced = is_namespaced
        self._boot_id = boot_id
        self._oom = oom
        self._idle: list[Idle] = []

    @property
    def is_full(self) -> bool:
        return len(self._idle) >= IDLE_MAX

    def refill(self) -> None:
        """Fork one more. Raises OSError."""
        self._idle.append(self._fork())

    def assign(self, directory: str, is_namespaced: bool, claim: int, agent: int) -> int:
        """Give a container to a supervisor; returns its pid. Raises OSError."""
        if is_namespaced != self._is_namespaced:
            self._is_namespaced = is_namespaced
            for idle in self._idle:
                idle.link.close()  # which ends it
            self._idle.clear()
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, DESCRIPTORS.pack(claim, agent))
        while True:
            is_fresh = not self._idle
            chosen = self._fork() if is_fresh else self._idle.pop(0)
            try:
                with chosen.link:
                    chosen.link.sendmsg([directory.encode()], [rights])
            except ConnectionError:  # somebody killed it while it was idle
                if is_fresh:
                    raise
            else:
                return chosen.pid

    def forget(self, pid: int) -> None:
        """Drop an idle supervisor that somebody killed."""
        for idle in [idle for idle in self._idle if idle.pid == pid]:
            idle.link.close()
            self._idle.remove(idle)

    def _fork(self) -> Idle:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            close_all_but(sorted({0, 1, 2, theirs.fileno()}))
            run_supervisor(theirs, self._is_namespaced, self._boot_id, self._oom)
        theirs.close()
        return Idle(pid, ours)
