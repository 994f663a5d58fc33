"""Identities: what a good one looks like, and how a task's is made of two."""

import re
from typing import NewType

FrameworkId = NewType("FrameworkId", str)
AgentId = NewType("AgentId", str)
OfferId = NewType("OfferId", str)
TaskId = NewType("TaskId", str)
TaskKey = NewType("TaskKey", str)

ID_CHARACTERS_MAX = 128  # a directory name together with a launch number
_GOOD = re.compile(r"[A-Za-z0-9._:-]+")


def task_key(framework: str, task: str) -> TaskKey:
    """Return the name of a task that is unique in the cluster."""
    return TaskKey(f"{framework}/{task}")


def split_key(key: TaskKey) -> tuple[FrameworkId, TaskId]:
    """Return the two ids that `task_key` joined."""
    framework, _, task = key.partition("/")
    return FrameworkId(framework), TaskId(task)


def check_id(text: str) -> str | None:
    """Return why `text` cannot be an id, None when it can.

    Ids name directories, so nothing that a path could interpret is allowed.
    """
    if not text:
        return "it is empty"
    if len(text) > ID_CHARACTERS_MAX:
        return f"it has {len(text)} characters, at most {ID_CHARACTERS_MAX} are allowed"
    if text in (".", ".."):
        return "it names a directory"
    if not _GOOD.fullmatch(text):
        return "only letters, digits and . _ : - are allowed"
    return None
