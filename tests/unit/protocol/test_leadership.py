"""Which of several masters' words on who leads counts."""

from typing import cast

from protocol.leadership import Leadership
from protocol.messages.link import Leader
from protocol.peer import Peer

M1, M2, M3 = (
    cast(Peer, "m1"),
    cast(Peer, "m2"),
    cast(Peer, "m3"),
)  # only their identity matters here


def test_master_that_says_so_leads() -> None:
    leadership = Leadership()
    leadership.hear(M1, Leader("m1", 3, True))
    assert (leadership.leader, leadership.epoch, leadership.address) == (M1, 3, "m1")


def test_word_about_another_names_an_address_without_a_link() -> None:
    leadership = Leadership()
    leadership.hear(M2, Leader("m1", 3, False))
    assert (leadership.leader, leadership.epoch, leadership.address) == (None, 3, "m1")


def test_newer_epoch_unseats_the_leader_whoever_tells() -> None:
    leadership = Leadership()
    leadership.hear(M1, Leader("m1", 3, True))
    leadership.hear(M2, Leader("m3", 4, False))
    assert (leadership.leader, leadership.epoch) == (None, 4)


def test_older_epoch_is_not_believed() -> None:
    leadership = Leadership()
    leadership.hear(M1, Leader("m1", 3, True))
    leadership.hear(M2, Leader("m2", 2, True))
    assert (leadership.leader, leadership.epoch) == (M1, 3)


def test_lone_candidate_with_a_high_term_unseats_nobody() -> None:
    leadership = Leadership()
    leadership.hear(M1, Leader("m1", 3, True))
    leadership.hear(M2, Leader("", 9, False))
    assert (leadership.leader, leadership.epoch) == (M1, 3)


def test_leader_that_steps_down_leads_no_more() -> None:
    leadership = Leadership()
    leadership.hear(M1, Leader("m1", 3, True))
    leadership.hear(M1, Leader("", 4, False))
    assert leadership.leader is None


def test_epoch_outlives_the_link_that_told_it() -> None:
    leadership = Leadership()
    leadership.hear(M1, Leader("m1", 3, True))
    leadership.forget(M1)
    assert (leadership.leader, leadership.epoch) == (None, 3)
    leadership.hear(M2, Leader("m2", 2, True))
    assert leadership.leader is None


def test_master_of_another_cluster_is_not_believed_whatever_its_epoch() -> None:
    leadership = Leadership()
    assert leadership.hear(M1, Leader("m1", 3, True, "ours"))
    assert not leadership.hear(M2, Leader("m2", 9, True, "theirs"))
    assert (leadership.leader, leadership.epoch, leadership.address) == (M1, 3, "m1")
    leadership.forget(M1)
    assert leadership.leader is None


def test_first_leader_found_says_which_cluster_it_is() -> None:
    leadership = Leadership()
    leadership.hear(M1, Leader("m3", 3, False, "ours"))
    assert leadership.origin == ""
    leadership.hear(M1, Leader("m1", 4, True, "ours"))
    assert leadership.origin == "ours"
    assert not leadership.hear(M2, Leader("m2", 5, True, "theirs"))


def test_cluster_known_from_before_is_the_only_one_believed() -> None:
    leadership = Leadership("ours")
    assert not leadership.hear(M2, Leader("m2", 9, True, "theirs"))
    assert (leadership.leader, leadership.epoch) == (None, 0)
    assert leadership.hear(M1, Leader("m1", 1, True, "ours"))
    assert leadership.leader is M1


def test_what_another_cluster_said_before_ours_was_found_is_dropped() -> None:
    leadership = Leadership()
    leadership.hear(M2, Leader("", 9, False, "theirs"))
    leadership.hear(M1, Leader("m1", 3, True, "ours"))
    leadership.forget(M1)
    assert leadership.leader is None
    assert leadership.hear(M1, Leader("m1", 3, True, "ours"))
    assert leadership.leader is M1


def test_stranger_that_answers_first_is_not_believed_when_others_name_another() -> None:
    leadership = Leadership(masters=3)
    leadership.hear(M2, Leader("m2", 9, True, "theirs"))
    assert leadership.is_in_doubt
    leadership.hear(M1, Leader("m1", 3, True, "ours"))
    assert not leadership.origin
    leadership.hear(M3, Leader("m1", 3, False))
    assert (leadership.leader, leadership.epoch, leadership.origin) == (M1, 3, "ours")
    assert not leadership.is_in_doubt


def test_leader_that_few_name_is_believed_once_it_is_trusted() -> None:
    leadership = Leadership(masters=3)
    leadership.hear(M1, Leader("m1", 3, True, "ours"))
    assert leadership.is_in_doubt
    leadership.trust()
    assert (leadership.leader, leadership.origin) == (M1, "ours")
