"""Entries in words and as JSON: nothing is left out, nothing secret is shown."""

from collections.abc import Iterator

from master.core.events import FrameworkSubscribed
from master.ctl.kinds import MASTERS
from master.ctl.logged import Told, lines_of, tell
from rlog.membership import configuration_command, founding_command, noop_command, payload_command
from rlog.messages import Entry
from tests.unit.master.test_machine import F1, busy_leader, restored_leader


def entries() -> Iterator[Entry]:
    for index, payload in enumerate(busy_leader().log, 1):
        yield Entry(index, 1, payload_command(payload))


def told() -> list[Told]:
    return [each for entry in entries() for each in tell(entry, MASTERS)]


def test_every_event_is_told_by_its_name() -> None:
    assert [each.name.replace(" ", "") for each in told()] == [
        type(event).__name__.lower() for event in busy_leader().events
    ]


def test_every_kind_of_event_can_be_told() -> None:
    for payload in restored_leader().log:
        for each in tell(Entry(7, 1, payload_command(payload)), MASTERS):
            assert each.name
            assert "\n" not in str(each)


def test_launch_is_told_with_what_a_person_looks_for() -> None:
    launched = next(each for each in told() if each.name == "task launched")
    values = dict(launched.values)
    assert {"framework_id", "agent_id", "task_id", "resources"} <= values.keys()
    assert launched.is_of(("task",))
    assert launched.is_of(("agent", "tasklaunched"))
    assert not launched.is_of(("agent",))
    assert launched.is_about((values["task_id"], values["framework_id"]))
    assert not launched.is_about((values["task_id"], "another"))
    assert launched.is_of(())
    assert launched.is_about(())


def test_tokens_are_not_shown() -> None:
    subscribed = FrameworkSubscribed(F1, token="of-nobody-else", name="web")
    payload = MASTERS.machine.encode(1, (subscribed,))
    found = next(tell(Entry(7, 1, payload_command(payload)), MASTERS))
    assert dict(found.values) == {"framework_id": "fw-1", "name": "web"}


def test_the_logs_own_entries_are_told() -> None:
    own = [
        Entry(1, 1, founding_command("id")),
        Entry(2, 1, noop_command()),
        Entry(3, 1, configuration_command(("a:1", "b:1"), ("c:1",))),
    ]
    assert [each.name for entry in own for each in tell(entry, MASTERS)] == [
        "log founded",
        "leader began",
        "members changed",
    ]
    last = next(tell(own[2], MASTERS))
    assert dict(last.values) == {"voters": "a:1,b:1", "learners": "c:1"}


def test_words_and_json_have_one_line_each() -> None:
    for entry in entries():
        assert len(list(tell(entry, MASTERS))) == len(list(lines_of(entry, 99, MASTERS)))
