"""Identities."""

import pytest

from protocol.ids import check_id, split_key, task_key


@pytest.mark.parametrize("text", ["a", "fw-1", "web.3:x_Y", "a" * 128, "...", "-"])
def test_good_id_is_accepted(text: str) -> None:
    assert check_id(text) is None


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a/b", "a b", "é", "a\n", "a\0", "a" * 129, "٣", "\ud800"]
)
def test_bad_id_is_refused_with_a_reason(text: str) -> None:
    assert check_id(text)


def test_key_splits_into_what_made_it() -> None:
    assert split_key(task_key("fw-1", "web.3")) == ("fw-1", "web.3")
