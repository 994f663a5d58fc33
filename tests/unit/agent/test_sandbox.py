"""Sandboxes are made empty and removed late."""

import os
from pathlib import Path

import pytest

from agent.paths import Paths, Sandbox
from agent.sandbox import (
    KEPT_MAX,
    KEPT_MIN,
    NoSuchUser,
    account_of,
    choose_expired,
    collect_sandboxes,
    make_sandbox,
    mark_ended,
)

DAY_NS = 86_400 * 1_000_000_000


def ended(count: int) -> list[tuple[int, Sandbox]]:
    return [(n, Sandbox("f1", "t1", n, Path(f"/s/{n}"))) for n in range(1, count + 1)]


def test_sandbox_is_made_empty(tmp_path: Path) -> None:
    paths = Paths(str(tmp_path))
    sandbox = Sandbox("f1", "t1", 1, paths.sandbox("f1", "t1", 1))
    make_sandbox(sandbox, None)
    (sandbox.path / "left").touch()
    make_sandbox(sandbox, None)
    assert os.listdir(sandbox.path) == []


def test_few_sandboxes_stay_however_old() -> None:
    assert choose_expired(ended(KEPT_MIN), 100 * DAY_NS, DAY_NS) == []


def test_young_sandboxes_stay_however_many() -> None:
    assert choose_expired(ended(KEPT_MIN + 5), DAY_NS, DAY_NS) == []


def test_old_sandboxes_beyond_the_newest_expire_oldest_first() -> None:
    expired = choose_expired(ended(KEPT_MIN + 2), 100 * DAY_NS, DAY_NS)
    assert [sandbox.launch for sandbox in expired] == [1, 2]


def test_far_too_many_sandboxes_expire_however_young() -> None:
    expired = choose_expired(ended(KEPT_MAX + 1), 0, DAY_NS)
    assert [sandbox.launch for sandbox in expired] == [1]


def test_collection_leaves_live_sandboxes_and_clears_empty_frameworks(tmp_path: Path) -> None:
    paths = Paths(str(tmp_path))
    for n in range(1, KEPT_MIN + 4):
        framework = "old" if n == 1 else "f1"
        sandbox = Sandbox(framework, "t1", n, paths.sandbox(framework, "t1", n))
        make_sandbox(sandbox, None)
        mark_ended(sandbox, n)
    removed = collect_sandboxes(paths, frozenset({2}), 100 * DAY_NS, DAY_NS)
    assert [sandbox.launch for sandbox in removed] == [1, 3]
    assert os.listdir(paths.sandboxes) == ["f1"]
    assert paths.sandbox("f1", "t1", 2).exists()


def test_ended_sandbox_that_is_gone_is_no_matter(tmp_path: Path) -> None:
    mark_ended(Sandbox("f1", "t1", 1, tmp_path / "gone"), 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs tasks as other users")
def test_account_is_the_tasks_then_the_frameworks_then_the_default() -> None:
    assert account_of("nobody", "root", "root").user == "nobody"
    assert account_of("", "nobody", "root").user == "nobody"
    assert account_of("", "", "nobody").user == "nobody"
    assert account_of("", "", "").owner is None


def test_account_that_does_not_exist_is_refused() -> None:
    with pytest.raises(NoSuchUser):
        account_of("no-such-user", "", "")
