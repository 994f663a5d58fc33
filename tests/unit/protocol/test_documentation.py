"""The protocol page speaks of every message that links carry."""

import pytest

from protocol import schema
from protocol.reflection import Noun
from tests.unit.protocol.strategies import ROOTS

PAGE = (schema.ROOT / "docs" / "protocol.md").read_text()
DOCUMENTED = {"AgentMessage", "FrameworkMessage", "OperatorMessage", "RaftMessage"}


@pytest.mark.parametrize(
    "root", [noun for noun in ROOTS if noun.name in DOCUMENTED], ids=lambda noun: noun.name
)
def test_page_names_every_message(root: Noun) -> None:
    assert [arm.wire_name for arm in root.arms if f"`{arm.wire_name}`" not in PAGE] == []
