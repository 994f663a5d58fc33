"""Tasks that end when a test wants it, whoever runs at that time."""

import os
from pathlib import Path


class Gates:
    """Named pipes that tasks read a line from before they exit."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def script(self, number: int, exit_code: int) -> str:
        """Return the script of a task that waits for its gate and exits then."""
        os.mkfifo(self._path(number))
        return f"read word < {self._path(number)}; exit {exit_code}"

    def open(self, number: int) -> None:
        """Let the task go; it must be waiting."""
        with open(self._path(number), "w") as gate:
            gate.write("go\n")

    def _path(self, number: int) -> Path:
        return self._directory / f"gate-{number}"
