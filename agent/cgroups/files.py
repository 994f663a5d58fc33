"""The control files of a cgroup tree: reading, writing, making, removing."""

import os


class Files:
    """Access to a mounted cgroup tree; the seam where tests put a tree of their own."""

    def make(self, directory: str) -> None:
        """Make a group; one that is there already stays."""
        try:
            os.mkdir(directory, 0o755)
        except FileExistsError:
            return

    def remove(self, directory: str) -> bool:
        """Remove an empty group; False while somebody is still in it."""
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def write(self, path: str, value: str) -> None:
        """Write one whole value at once: the kernel judges each write(2) for itself."""
        handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(handle, value.encode())
        finally:
            os.close(handle)

    def read(self, path: str) -> str:
        """Return the content, empty when there is no such file."""
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return ""
        try:
            return self._read_all(handle)
        except OSError:  # ENODEV: the group went away while we read it
            return ""
        finally:
            os.close(handle)

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def children(self, directory: str) -> list[str]:
        """Return the names of the groups below, sorted."""
        try:
            with os.scandir(directory) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir())
        except FileNotFoundError:
            return []

    @staticmethod
    def _read_all(handle: int) -> str:
        parts = []
        while part := os.read(handle, 65536):
            parts.append(part)
        return b"".join(parts).decode()


def parse_keyed(text: str) -> dict[str, int]:
    """Read lines of `name number`, leaving out what is not one."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def parse_number(text: str) -> int:
    """Read one number; 0 when there is none, as for `max`."""
    text = text.strip()
    return int(text) if text.isdigit() else 0
