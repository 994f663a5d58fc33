"""Actions: what they say they have done."""

import pytest

from master.ctl.actions import describe_removal
from protocol.messages.operator import FrameworkView


@pytest.mark.parametrize(
    ("tasks", "text"),
    [(0, "it has no tasks"), (1, "its task is killed"), (2, "its 2 tasks are killed")],
)
def test_removal_counts_the_tasks_that_it_kills(tasks: int, text: str) -> None:
    view = FrameworkView(framework_id="fw-1", tasks=tasks)
    assert describe_removal(view) == f"fw-1: removed; {text}"
