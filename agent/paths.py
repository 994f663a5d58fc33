"""Paths: the agent's tree on disk, and how to open what tasks own without leaving it.

<work_dir>/
  lock                              held while an agent runs; its pid
  log/                              the checkpoint
  disk                              bytes lent when none were configured
  port                              where the agent listened, to listen there again
  volumes/<volume>.<number>/        what outlives tasks
  containers/<launch>/              what the containerizer keeps of a container
  sandboxes/<framework>/<task>.<launch>/   working directory of a task, with stdout and stderr
"""

import os
from dataclasses import dataclass
from pathlib import Path

from protocol.ids import check_id

DEPTH_MAX = 64  # components of a path inside a sandbox


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox that exists, of a launch that may have ended long ago."""

    framework_id: str
    task_id: str
    launch: int
    path: Path


class Paths:
    """Where everything of one agent is."""

    def __init__(self, work_dir: str) -> None:
        self.work_dir = Path(work_dir).absolute()
        self.lock = self.work_dir / "lock"
        self.log = self.work_dir / "log"
        self.disk = self.work_dir / "disk"
        self.port = self.work_dir / "port"
        self.containers = self.work_dir / "containers"
        self.sandboxes = self.work_dir / "sandboxes"
        self.volumes = self.work_dir / "volumes"

    def container(self, launch: int) -> Path:
        """The containerizer's directory of a launch."""
        assert launch > 0
        return self.containers / str(launch)

    def volume(self, name: str, number: int) -> Path:
        """The directory of a volume."""
        assert check_id(name) is None
        assert number > 0
        return self.volumes / f"{name}.{number}"

    def sandbox(self, framework_id: str, task_id: str, launch: int) -> Path:
        """The working directory of a launch."""
        assert check_id(framework_id) is None
        assert check_id(task_id) is None
        assert launch > 0
        return self.sandboxes / framework_id / f"{task_id}.{launch}"

    def newest_sandbox(self, framework_id: str, task_id: str) -> Sandbox | None:
        """The sandbox of a task's newest launch, None when there is none (any more)."""
        if check_id(framework_id) is not None or check_id(task_id) is not None:
            return None
        found = [
            sandbox for sandbox in self._sandboxes_of(framework_id) if sandbox.task_id == task_id
        ]
        return max(found, key=lambda sandbox: sandbox.launch, default=None)

    def all_sandboxes(self) -> list[Sandbox]:
        """Every sandbox that exists."""
        try:
            frameworks = sorted(os.listdir(self.sandboxes))
        except FileNotFoundError:
            return []
        return [sandbox for name in frameworks for sandbox in self._sandboxes_of(name)]

    def _sandboxes_of(self, framework_id: str) -> list[Sandbox]:
        directory = self.sandboxes / framework_id
        try:
            names = sorted(os.listdir(directory))
        except (FileNotFoundError, NotADirectoryError):
            return []
        split = ((name, *name.rpartition(".")[::2]) for name in names)
        return [
            Sandbox(framework_id, task, int(launch), directory / name)
            for name, task, launch in split
            if task and launch.isdecimal()
        ]


def split_inside(name: str) -> tuple[str, ...]:
    """The components of a path that stays inside the directory it starts from.

    Raises: ValueError with the reason when it would not.
    """
    if not name or "\0" in name:
        raise ValueError(f"{name!r} is not a file name")
    if name.startswith("/"):
        raise ValueError(f"{name!r} is absolute")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise ValueError(f"{name!r} leads out of the sandbox")
    if not parts or len(parts) > DEPTH_MAX:
        raise ValueError(f"{name!r} is not a file name")
    return parts


def open_parent(root: int, parts: tuple[str, ...], *, is_making: bool = False) -> int:
    """A descriptor of the directory that holds the last component; no link is followed.

    With `is_making` missing directories are made. The caller closes it.
    Raises: OSError, also when a component is a symbolic link.
    """
    directory = os.dup(root)
    try:
        for part in parts[:-1]:
            if is_making:
                _make_directory(directory, part)
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
            os.close(directory)
            directory = below
    except BaseException:
        os.close(directory)
        raise
    return directory


def open_inside(root: int, parts: tuple[str, ...], flags: int, mode: int = 0o600) -> int:
    """A descriptor of a file below `root`; no component may be a link, a pipe never blocks.

    Raises: OSError.
    """
    parent = open_parent(root, parts)
    try:
        flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(parts[-1], flags, mode, dir_fd=parent)
    finally:
        os.close(parent)


def _make_directory(parent: int, name: str) -> None:
    try:
        os.mkdir(name, 0o755, dir_fd=parent)
    except FileExistsError:
        return
