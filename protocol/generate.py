"""The generator of messages and codecs: writes them, or checks that they match the schemas.

Run as `python -m protocol.generate [--check]`.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from protocol import generated_code, reflection, schema


@dataclass(frozen=True, slots=True)
class Target:
    """What one schema becomes."""

    schema: str
    messages: str
    codec: str
    roots: tuple[str, ...] = ()
    is_log: bool = False  # read back by other versions of the same daemon: unknown means stop


def _wire(name: str, *roots: str) -> Target:
    return Target(
        f"protocol/{name}.capnp", f"protocol.messages.{name}", f"protocol.codecs.{name}", roots
    )


TARGETS = (
    _wire("values", "TaskDescription", "TaskStatus"),
    _wire("link"),
    _wire("agent", "AgentMessage"),
    _wire("framework", "FrameworkMessage"),
    _wire("executor", "ExecutorMessage"),
    _wire("operator", "OperatorMessage"),
    Target("rlog/rlog.capnp", "rlog.messages", "rlog.codec", ("RaftMessage",)),
    Target(
        "rlog/spaces.capnp",
        "rlog.spaces.messages",
        "rlog.spaces_codec",
        ("SpaceRequest", "SpaceAnswer"),
    ),
    Target(
        "rlog/alone/events.capnp",
        "rlog.alone.core.events",
        "rlog.alone.codec",
        ("LogBatch",),
        is_log=True,
    ),
    Target("master/events.capnp", "master.core.events", "master.codec", ("Batch",), is_log=True),
    Target(
        "agent/checkpoint.capnp",
        "agent.core.events",
        "agent.codec",
        ("CheckpointBatch",),
        is_log=True,
    ),
)


def render_all() -> dict[Path, str]:
    """Return the text of every generated file by its path."""
    places = {
        target.schema: generated_code.Place(target.messages, target.codec) for target in TARGETS
    }
    nouns = reflection.reflect(tuple(places))
    files: dict[Path, str] = {}
    for target in TARGETS:
        renderer = generated_code.Renderer(
            target.schema, nouns, places, frozenset(target.roots), target.is_log
        )
        files[_file_of(target.messages)] = renderer.messages()
        files[_file_of(target.codec)] = renderer.codec()
    return {path: _formatted(path, text) for path, text in files.items()}


def main() -> None:
    """Write the files; with --check only compare, and fail when one is stale."""
    parser = argparse.ArgumentParser(prog="python -m protocol.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    is_check = parser.parse_args().check
    texts = render_all()
    stale = [path for path, text in texts.items() if not path.is_file() or path.read_text() != text]
    if is_check and stale:
        names = ", ".join(str(path.relative_to(schema.ROOT)) for path in stale)
        sys.exit(f"stale: {names}; run python -m protocol.generate")
    for path in stale:
        path.write_text(texts[path])


def _file_of(module: str) -> Path:
    return schema.ROOT / (module.replace(".", "/") + ".py")


def _formatted(path: Path, text: str) -> str:
    """Return the text as the project's linter and formatter have it: no two checks can disagree."""
    sorted_imports = _ruff(path, text, "check", "--fix", "--select=I")
    return _ruff(path, sorted_imports, "format")


def _ruff(path: Path, text: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "ruff", *arguments, "--quiet", "--stdin-filename", str(path)]
    result = subprocess.run(
        [*command, "-"], input=text, capture_output=True, text=True, check=False, cwd=schema.ROOT
    )
    if result.returncode:
        raise RuntimeError(f"{path} cannot be formatted: {result.stderr}")
    return result.stdout


if __name__ == "__main__":
    main()
