"""A `quorate run` as a child process whose output is shown while it comes."""

import asyncio
import contextlib
import sys

from rich.console import Console
from rich.text import Text

from master.ctl.target import CommandError, Target

LINES_KEPT = 20  # of output, for the text of a failure


class Workload:
    """One framework: so many instances of a shell command, and the status it should end with."""

    def __init__(self, name: str, role: str, count: int, command: str, status: int) -> None:
        self.name = name
        self.count = count
        self._role = role
        self._command = command
        self._status = status
        self._lines: list[str] = []
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self, target: Target, console: Console) -> None:
        """Start it; what it says goes to the console, marked with its name."""
        arguments = [
            *("--name", self.name, "--role", self._role, "--instances", str(self.count)),
            *("--cpus", "0.9"),
            *("--masters", ",".join(target.masters), "--credentials", target.credentials),
        ]
        shown = " ".join(arguments[:-4])
        console.print(Text(f"$ quorate run {shown} --shell -- …", "bold"))
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "schedulers.run", *arguments),
            *("--shell", "--", self._command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._reading = asyncio.get_running_loop().create_task(self._show(console))

    async def finish(self, seconds_max: float) -> None:
        """Wait for its end.

        Raises: CommandError when it does not come, or comes with another status than expected.
        """
        assert self._process is not None
        assert self._reading is not None
        try:
            async with asyncio.timeout(seconds_max):
                await self._reading
                status = await self._process.wait()
        except TimeoutError:
            raise CommandError(f"{self.name} has not ended in {seconds_max:.0f} s") from None
        if status != self._status:
            said = "\n".join(self._lines)
            raise CommandError(
                f"{self.name} ended with status {status} instead of {self._status}:\n{said}"
            )

    def stop(self) -> None:
        """End it now if it runs."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        if self._reading is not None:
            self._reading.cancel()

    async def _show(self, console: Console) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            text = line.decode(errors="replace").rstrip()
            self._lines = [*self._lines[1 - LINES_KEPT :], text]
            console.print(Text(f"  {self.name} │ {text}"), no_wrap=True, overflow="ellipsis")
