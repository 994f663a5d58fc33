"""Tables of the operator's tool: what they show, and that they fit in 80 columns."""

import io
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from rich.console import Console

from master.ctl.tables import amount, exit_of, format_age, share, show, weight
from protocol.messages.operator import (
    AgentView,
    FrameworkView,
    MasterView,
    OfferView,
    QuotaView,
    RoleView,
    TaskView,
)
from protocol.messages.values import Quantity, TaskDescription, TaskReason, TaskState, TaskStatus
from protocol.resources import Resources
from protocol.tables import shorten

SECOND_NS = 1_000_000_000
NOW_NS = 1_000_000 * SECOND_NS
GIB = 1 << 30

RUNNING = TaskView(
    status=TaskStatus(
        framework_id="fw-12",
        task_id="nightly-report-of-everything-2026-11-21-0003",
        agent_id="build-machine-eu-central-7-a1b2c3",
        launch=7,
        state=TaskState.RUNNING,
        pid=4_194_301,
    ),
    description=TaskDescription(
        command=("/bin/sh", "-c", "sleep 60"), resources=Resources({"cpus": 500, "mem": GIB // 2})
    ),
    role="analytics",
    launched_ns=NOW_NS - 90 * SECOND_NS,
)
FAILED = TaskView(
    status=TaskStatus(
        framework_id="fw-1",
        task_id="t1",
        agent_id="a1",
        state=TaskState.FAILED,
        reason=TaskReason.COMMAND_EXITED,
        exit_code=3,
    ),
    description=TaskDescription(resources=Resources({"cpus": 2000})),
    launched_ns=NOW_NS - 3 * 86_400 * SECOND_NS,
)
KILLED = TaskView(
    status=TaskStatus(framework_id="fw-1", task_id="t2", state=TaskState.KILLED, signal=15),
    launched_ns=NOW_NS,
)


def render(kind: type, views: Sequence[object], width: int = 80, form: str = "table") -> str:
    file = io.StringIO()
    show(Console(file=file, width=width, highlight=False), kind, views, form, NOW_NS)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def test_tasks_fit_in_80_columns() -> None:
    assert (
        render(TaskView, [RUNNING, FAILED, KILLED])
        == """\
TASK              STATE      EXIT  AGENT                  PID  CPUS     MEM  AGE
fw-12/ni…21-0003  RUNNING       -  build-ma…7-a1b2c3  4194301   0.5  512MiB  90s
fw-1/t1           FAILED        3  a1                       -     2       -   3d
fw-1/t2           KILLED   sig 15                           -     -       -   0s"""
    )


@pytest.mark.parametrize(
    ("state", "reason", "text"),
    [
        (TaskState.RUNNING, TaskReason.NONE, "-"),
        (TaskState.KILLING, TaskReason.KILLED_BY_OPERATOR, "-"),
        (TaskState.FAILED, TaskReason.LAUNCH_FAILED, "launch"),
        (TaskState.FAILED, TaskReason.FETCH_FAILED, "fetch"),
        (TaskState.FAILED, TaskReason.MEMORY_LIMIT, "memory"),
        (TaskState.KILLED, TaskReason.KILLED_BY_OPERATOR, "killed"),
        (TaskState.KILLED, TaskReason.PREEMPTED, "preempt"),
        (TaskState.LOST, TaskReason.AGENT_FORGOT, "lost"),
        (TaskState.ERROR, TaskReason.INVALID_TASK, "invalid"),
    ],
)
def test_end_without_an_exit_code_is_one_word(
    state: TaskState, reason: TaskReason, text: str
) -> None:
    view = replace(RUNNING, status=replace(RUNNING.status, state=state, reason=reason))
    assert exit_of(view) == text
    assert all(len(line) <= 80 for line in render(TaskView, [view, RUNNING]).splitlines())


def test_out_of_memory_is_said_whatever_ended_the_command() -> None:
    status = replace(FAILED.status, reason=TaskReason.MEMORY_LIMIT, signal=9)
    assert exit_of(replace(FAILED, status=status)) == "memory"


def test_tasks_are_whole_where_there_is_room() -> None:
    text = render(TaskView, [RUNNING], width=200)
    assert "fw-12/nightly-report-of-everything-2026-11-21-0003" in text
    assert "build-machine-eu-central-7-a1b2c3" in text


def test_agents_fit_in_80_columns() -> None:
    agent = AgentView(
        agent_id="build-machine-eu-central-a1b2c3",
        state="connected",
        total=Resources({"cpus": 64_000, "mem": 256 * GIB}),
        allocated=Resources({"cpus": 1500, "mem": GIB}),
        tasks=3,
        isolation=("cgroups-v1:cpu,memory", "namespaces:pid,mnt"),
    )
    assert (
        render(AgentView, [agent])
        == """\
AGENT                STATE      TASKS    CPUS          MEM  ISOLATION
build-mac…al-a1b2c3  connected      3  1.5/64  1GiB/256GiB  cgroups-v1…amespaces"""
    )


def test_frameworks_fit_in_80_columns() -> None:
    framework = FrameworkView(
        framework_id="fw-3",
        name="marathon-of-the-analytics-department",
        roles=("analytics", "analytics/adhoc"),
        state="connected",
        tasks=12_345,
        offers=2,
        allocated=Resources({"cpus": 1_000_500, "mem": 3 * GIB // 2}),
        subscribed_ns=NOW_NS - 7200 * SECOND_NS,
    )
    assert (
        render(FrameworkView, [framework])
        == """\
ID    NAME            STATE      ROLES            TASKS  OFFERS    CPUS      MEM
fw-3  maratho…rtment  connected  analyti…s/adhoc  12345       2  1000.5  1536MiB"""
    )


def test_odd_sizes_are_rounded_in_tables() -> None:
    odd = Resources({"mem": 8_341_123_072, "disk": 512})
    assert (amount(odd, "mem"), amount(odd, "disk"), amount(odd, "cpus")) == ("7.8GiB", "512B", "-")


def test_offers_fit_in_80_columns() -> None:
    offer = OfferView(
        offer_id="o3-1234567",
        framework_id="fw-3",
        role="analytics",
        agent_id="build-machine-eu-central-a1b2c3",
        resources=Resources({"cpus": 64_000, "mem": 256 * GIB}),
        made_ns=NOW_NS - 2 * SECOND_NS,
    )
    assert (
        render(OfferView, [offer])
        == """\
OFFER       FRAMEWORK  ROLE       AGENT                        CPUS     MEM  AGE
o3-1234567  fw-3       analytics  build-machine…entral-a1b2c3    64  256GiB   2s"""
    )


def test_masters_show_who_belongs_and_nothing_of_one_that_is_silent() -> None:
    views = [
        MasterView("127.0.0.1:7000", "leader", 3, 120, 119, True, "0.1.0", member="voter"),
        MasterView("127.0.0.1:7001", member="voter", lag=120),
        MasterView(
            "127.0.0.1:7002", "follower", 3, 90, 90, True, "0.1.0", member="learner", lag=30
        ),
        MasterView("127.0.0.1:7003", "follower", 0, 0, 0, True, "0.1.0"),
    ]
    assert (
        render(MasterView, views)
        == """\
MASTER          ROLE         TERM  COMMITTED  APPLIED  LAG  VERSION
127.0.0.1:7000  leader          3        120      119    0  0.1.0
127.0.0.1:7001  unreachable     -          -        -  120  -
127.0.0.1:7002  learner         3         90       90   30  0.1.0
127.0.0.1:7003  no member       0          0        0    -  0.1.0"""
    )


def test_roles_show_weight_and_share() -> None:
    held = Resources({"cpus": 4000, "mem": GIB})
    role = RoleView("analytics", 2500, 2, held, 251_400, "cpus", wanted_tasks=7)
    assert (
        render(RoleView, [role])
        == """\
ROLE       WEIGHT       SHARE  FRAMEWORKS  CPUS   MEM  WAITING
analytics     2.5  25.1% cpus           2     4  1GiB        7"""
    )


def test_json_is_a_list_of_objects_with_units_in_names() -> None:
    found = json.loads(render(TaskView, [RUNNING], form="json"))
    assert found[0]["resources"] == {"cpus_milli": 500, "mem_bytes": GIB // 2}
    assert found[0]["state"] == "RUNNING"
    assert found[0]["exit_code"] is None


def test_json_of_an_ended_task_has_its_exit_code() -> None:
    assert json.loads(render(TaskView, [FAILED], form="json"))[0]["exit_code"] == 3


def test_json_of_nothing_is_an_empty_list() -> None:
    assert json.loads(render(TaskView, [], form="json")) == []


def test_json_is_not_wrapped_at_the_width_of_the_terminal() -> None:
    found = json.loads(render(TaskView, [RUNNING], width=20, form="json"))
    assert found[0]["task_id"] == RUNNING.status.task_id


def test_shorten_keeps_both_ends() -> None:
    assert shorten("abcdefghij", 5) == "ab…ij"


def test_age_has_one_unit() -> None:
    ages = (0, 119, 120, 7199, 7200, 172_800, -5)
    assert [format_age(age * SECOND_NS) for age in ages] == [
        "0s", "119s", "2m", "119m", "2h", "2d", "0s",
    ]  # fmt: skip


def test_quotas_show_amounts_one_below_the_other() -> None:
    limit = (Quantity("cpus", 4000), Quantity("mem", GIB))
    shown = render(QuotaView, [QuotaView("eng/search", (), limit, limit, ())])
    assert shown == (
        "ROLE        GUARANTEE  LIMIT     USED\n"
        "eng/search  -          cpus:4    cpus:4\n"
        "                       mem:1GiB  mem:1GiB"
    )


def test_weight_has_no_needless_zeros() -> None:
    assert [weight(milli) for milli in (1000, 2500, 1, 10_000)] == ["1", "2.5", "0.001", "10"]


def test_share_names_its_resource() -> None:
    assert (
        share(RoleView(dominant_share_millionths=333_333, dominant_resource="mem")) == "33.3% mem"
    )
    assert share(RoleView()) == "0.0%"
