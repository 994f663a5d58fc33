"""Volumes: made, resized and deleted once, however often and late they are spoken of."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.effects import MakeVolume, SendReports, StartContainer, WipeVolume
from agent.core.machine import Command
from agent.core.reasons import Reason
from agent.core.recovery import Recover
from agent.core.tasks import AcceptLaunch, ContainerEnded
from agent.core.updates import TellTasks, decide_tell
from agent.core.volumes import (
    KeepVolume,
    RemoveVolume,
    VolumeDeleted,
    VolumeMade,
    VolumeNotMade,
)
from protocol.decision import Decision, Refused
from protocol.messages.agent import VolumeReport
from protocol.messages.values import Mount, TaskState, Volume, VolumeState
from tests.unit.agent.core.lives import Life, launch_of

DATA = Volume("data", 1, "r1", "db", 1 << 30)


def reports(effects: object) -> list[VolumeReport]:
    assert not isinstance(effects, Refused)
    assert isinstance(effects, tuple)
    return [
        each for effect in effects if isinstance(effect, SendReports) for each in effect.reports
    ]


def kept() -> Life:
    life = Life()
    life.give(KeepVolume(DATA))
    life.give(VolumeMade(DATA))
    return life


def mounting(number: int, name: str = "data") -> AcceptLaunch:
    launch = launch_of(number, f"t{number}")
    description = replace(launch.description, volumes=(Mount(name, "data"),))
    return AcceptLaunch(replace(launch, description=description))


def test_volume_is_in_the_log_before_it_is_made_and_told_after() -> None:
    life = Life()
    effects = life.give(KeepVolume(DATA))
    assert effects == (MakeVolume(replace(DATA, state=VolumeState.CREATING)),)
    assert life.replayed().volumes["data"].state is VolumeState.CREATING
    (report,) = reports(life.give(VolumeMade(DATA)))
    assert (report.volume.id, report.volume.state) == ("data", VolumeState.READY)


def test_repeated_order_is_answered_again() -> None:
    life = kept()
    effects = life.give(KeepVolume(DATA))
    assert effects == (MakeVolume(replace(DATA, state=VolumeState.READY)),)
    (report,) = reports(life.give(VolumeMade(DATA)))
    assert report.volume.state is VolumeState.READY


def test_restart_begins_again_what_was_not_done() -> None:
    life = Life()
    life.give(KeepVolume(DATA))
    life.give(KeepVolume(replace(DATA, id="other", number=2)))
    life.give(VolumeMade(replace(DATA, id="other", number=2)))
    life.give(RemoveVolume(replace(DATA, id="other", number=2)))
    effects = life.give(Recover("boot1"))
    assert effects == (
        MakeVolume(replace(DATA, state=VolumeState.CREATING)),
        WipeVolume("other", 2),
    )


def test_volume_that_cannot_be_made_is_told_and_forgotten() -> None:
    life = Life()
    life.give(KeepVolume(DATA))
    (report,) = reports(life.give(VolumeNotMade(DATA, "no space left")))
    assert (report.volume.state, report.message) == (VolumeState.FAILED, "no space left")
    assert not life.state.volumes


def test_volume_that_cannot_be_made_keeps_its_name_while_a_task_was_launched_on_it() -> None:
    life = Life()
    life.give(KeepVolume(DATA))
    life.give(mounting(1))
    (report,) = reports(life.give(VolumeNotMade(DATA, "no space left")))
    assert report.volume.state is VolumeState.FAILED
    assert "data" in life.state.volumes


def test_volume_too_full_to_be_smaller_stays_as_it_was() -> None:
    life = kept()
    smaller = replace(DATA, size_bytes=1)
    life.give(KeepVolume(smaller))
    (report,) = reports(life.give(VolumeNotMade(smaller, "too much")))
    assert (report.volume.state, report.volume.size_bytes) == (VolumeState.FAILED, 1)
    assert life.state.volumes["data"].size_bytes == 1 << 30


def test_removal_is_told_when_nothing_is_left() -> None:
    life = kept()
    assert life.give(RemoveVolume(DATA)) == (WipeVolume("data", 1),)
    assert life.give(RemoveVolume(DATA)) == (WipeVolume("data", 1),)
    (report,) = reports(life.give(VolumeDeleted("data", 1)))
    assert report.volume.state is VolumeState.GONE
    (again,) = reports(life.give(RemoveVolume(DATA)))
    assert again.volume.state is VolumeState.GONE


def test_late_orders_touch_no_other_volume_of_that_name() -> None:
    life = kept()
    older, newer = replace(DATA, number=9), replace(DATA, number=7)
    (gone,) = reports(life.give(RemoveVolume(older)))
    assert gone.volume.state is VolumeState.GONE
    (failed,) = reports(life.give(KeepVolume(newer)))
    assert failed.volume.state is VolumeState.FAILED
    assert life.state.volumes["data"].number == 1


def test_task_has_its_volumes_alone_unless_they_are_shared() -> None:
    life = kept()
    assert any(isinstance(each, StartContainer) for each in life.give(mounting(1)))  # type: ignore[union-attr]
    life.give(mounting(2))
    assert 2 not in life.state.tasks
    refused = life.give(RemoveVolume(DATA))
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.VOLUME_IN_USE
    life.give(ContainerEnded(1))
    assert life.give(RemoveVolume(DATA)) == (WipeVolume("data", 1),)


def test_task_without_its_volume_is_dropped() -> None:
    life = Life()
    (sent,) = life.give(mounting(1, "nothing"))  # type: ignore[misc]
    (status,) = sent.statuses  # type: ignore[union-attr]
    assert (status.state, status.message) == (
        TaskState.DROPPED,
        "the agent does not keep volume 'nothing'",
    )


def test_registration_tells_the_volumes() -> None:
    life = kept()
    life.give(TellTasks())
    told = decide_tell(life.state)
    assert isinstance(told, Decision)
    assert told.reply is not None
    assert [each.id for each in told.reply.volumes] == ["data"]


NUMBERS = st.integers(1, 4)
VOLUMES = st.builds(
    lambda number, size: Volume(f"v{number % 2}", number, size_bytes=size),
    NUMBERS,
    st.integers(1, 3),
)
COMMANDS: st.SearchStrategy[Command] = st.one_of(
    VOLUMES.map(KeepVolume),
    VOLUMES.map(RemoveVolume),
    VOLUMES.map(VolumeMade),
    VOLUMES.map(lambda volume: VolumeNotMade(volume, "no")),
    VOLUMES.map(lambda volume: VolumeDeleted(volume.id, volume.number)),
    NUMBERS.map(lambda number: mounting(number, f"v{number % 2}")),
    NUMBERS.map(ContainerEnded),
    st.just(Recover("boot1")),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(COMMANDS, max_size=40))
def test_no_volume_of_a_task_is_deleted_and_state_is_what_its_log_says(
    commands: list[Command],
) -> None:
    life = Life()
    for command in commands:
        effects = life.give(command)
        for effect in () if isinstance(effects, Refused) else effects:
            if isinstance(effect, WipeVolume):
                assert life.state.dropped[effect.number] == effect.volume
        for launch in life.state.live.values():
            for mount in life.state.tasks[launch].description.volumes:
                assert mount.volume in life.state.volumes
    life.checkpoint.drop_soft(life.state)
    assert life.replayed() == life.state
    assert life.checkpoint.load(life.checkpoint.dump(life.state)) == life.state
