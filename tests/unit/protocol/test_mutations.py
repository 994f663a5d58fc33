"""No bytes from outside end the process or hold it up."""

import subprocess
import sys

from protocol import schema


def test_mutated_messages_are_read_or_refused() -> None:
    command = [sys.executable, "-m", "tests.unit.protocol.mutations"]
    child = subprocess.run(
        command, cwd=schema.ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert child.returncode == 0, child.stdout + child.stderr
    assert child.stdout.endswith("all roots stand\n")
