"""Script files: blocks of commands and expected output, read, run and written again."""

from dataclasses import dataclass
from pathlib import Path

from tests.scripts.language import Script, run

FOLDER = Path(__file__).parent
MARK = "----"


@dataclass(frozen=True)
class Block:
    commands: tuple[str, ...]
    expected: tuple[str, ...]


def script_paths() -> list[Path]:
    return sorted(FOLDER.rglob("*.txt"))


def parse(text: str) -> list[Block]:
    """Return the blocks: an empty line ends the output of one."""
    blocks: list[Block] = []
    commands: list[str] = []
    expected: list[str] | None = None
    for line in [*text.splitlines(), ""]:
        if line == MARK:
            expected = []
        elif expected is None:
            commands.append(line)
        elif line:
            expected.append(line)
        else:
            blocks.append(Block(tuple(commands), tuple(expected)))
            commands, expected = [], None
    assert not any(commands), f"no {MARK} after {commands}"
    return blocks


def rerun(blocks: list[Block]) -> list[Block]:
    """Return the blocks with what the master really says."""
    script = Script()
    return [Block(each.commands, tuple(run(list(each.commands), script))) for each in blocks]


def write(blocks: list[Block]) -> str:
    texts = ("\n".join((*each.commands, MARK, *each.expected)) for each in blocks)
    return "\n\n".join(texts) + "\n"
