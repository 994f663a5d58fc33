"""The operator's commands against a small real cluster, and what it leaves behind."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from master.ctl.children import kill_leftovers
from tests.clusters import SLEEPER, Cluster, running_cluster, wait_for


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(1, 1, tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _end_runs(cluster: Cluster) -> Iterator[None]:
    yield
    cluster.end_runs()


def test_masters_shows_the_leader(cluster: Cluster) -> None:
    (view,) = cluster.ask("masters")
    assert (view["address"], view["role"]) == (cluster.embedded.addresses[0], "leader")


def test_agents_shows_what_an_agent_has(cluster: Cluster) -> None:
    (view,) = cluster.ask("agents")
    assert (view["hostname"], view["state"]) == ("a1", "connected")
    assert view["total"]["ports"] == [[31000, 31199]]


def test_ps_shows_running_tasks_and_ended_ones_if_asked(cluster: Cluster) -> None:
    assert cluster.quorate("run", "--name", "short", "--", "true").returncode == 0
    cluster.run("long", SLEEPER)
    cluster.running("long-0")
    assert {task["task_id"] for task in cluster.ask("ps")} == {"long-0"}
    assert {task["task_id"] for task in cluster.ask("ps", "-a")} >= {"short-0", "long-0"}


def test_ps_prints_a_table(cluster: Cluster) -> None:
    cluster.run("shown", SLEEPER)
    task = cluster.running("shown-0")
    lines = cluster.quorate("ps").stdout.splitlines()
    assert lines[0].split() == ["TASK", "STATE", "EXIT", "AGENT", "PID", "CPUS", "MEM", "AGE"]
    row = next(line.split() for line in lines if "shown-0" in line)
    assert row[:2] == [f"{task['framework_id']}/shown-0", "RUNNING"]


def test_roles_and_frameworks_show_what_is_held(cluster: Cluster) -> None:
    cluster.run("held", SLEEPER, "--role", "tenants", "--cpus", "0.2")
    cluster.running("held-0")
    roles = {role["role"]: role for role in cluster.ask("roles")}
    assert roles["tenants"]["allocated"]["cpus_milli"] == 200
    (framework,) = [each for each in cluster.ask("frameworks") if each["name"] == "held"]
    assert (framework["state"], framework["tasks"]) == ("connected", 1)


def test_quota_is_set_listed_and_removed(cluster: Cluster) -> None:
    ran = cluster.quorate("quota", "set", "bounded", "--limit", "cpus:1;mem:1GiB")
    assert (ran.returncode, ran.stdout) == (0, "bounded: limit cpus:1;mem:1GiB\n")
    planned = cluster.quorate("quota", "set", "bounded", "--limit", "cpus:2", "--plan").stdout
    assert planned == (
        "bounded: limit cpus:2; would be changed; no offer taken back; nothing was done\n"
    )
    (quota,) = cluster.ask("quota")
    assert quota["limit"] == {"cpus_milli": 1000, "mem_bytes": 1 << 30}
    assert "mem:1GiB" in cluster.quorate("quota").stdout
    ran = cluster.quorate("quota", "set", "bounded", "--guarantee", "cpus:100000")
    assert (ran.returncode, "but the cluster has cpus:" in ran.stderr) == (1, True)
    ran = cluster.quorate("quota", "set", "bounded", "--limit", "cpus:lots")
    assert (ran.returncode, "--limit: resource 'cpus:lots'" in ran.stderr) == (2, True)
    assert cluster.quorate("quota", "remove", "bounded").stdout == "bounded: no quota\n"
    assert cluster.ask("quota") == []


def test_resources_are_reserved_used_and_given_back(cluster: Cluster) -> None:
    (agent,) = cluster.ask("agents")
    name = agent["agent_id"]
    spec = ("cpus:0.5;mem:64MiB", "--name", "kept", "--label", "cost=7")
    planned = cluster.quorate("reserve", name, "keepers", *spec, "--plan")
    assert planned.stdout == f"would be done: {name} kept: {spec[0]} reserved for keepers\n"
    assert cluster.ask("reservations") == []
    assert cluster.quorate("reserve", name, "keepers", *spec).returncode == 0
    cluster.run("keeper", SLEEPER, "--role", "keepers/one", "--cpus", "0.5")
    cluster.running("keeper-0")
    (kept,) = cluster.ask("reservations")
    assert (kept["role"], kept["labels"]) == ("keepers", {"cost": "7"})
    assert kept["allocated"]["cpus_milli"] == 500
    assert "cpus:0.5" in cluster.quorate("reservations").stdout
    refused = cluster.quorate("unreserve", name, "kept")
    assert (refused.returncode, "in use by" in refused.stderr) == (1, True)
    assert cluster.quorate("unreserve", name, "kept", "--when-free").returncode == 0
    cluster.end_runs()
    wait_for(lambda: cluster.ask("reservations") == [], "the reservation to end")


def test_booking_is_set_fulfilled_and_removed(cluster: Cluster) -> None:
    planned = cluster.quorate("booking", "set", "night", "batch", "--share", "10", "--plan")
    assert planned.stdout.startswith("would be done: booking night: cpus:")
    assert cluster.ask("booking") == []
    cron = ("--cron", "0 22 * * *", "--for", "24h", "--announce", "30m")
    ran = cluster.quorate("booking", "set", "night", "batch", "--resources", "cpus:0.1", *cron)
    assert (ran.returncode, ran.stdout) == (
        0,
        "booking night: cpus:0.1 of 1 agent for batch\n",
    )
    wait_for(lambda: cluster.ask("reservations"), "it to be reserved")
    (booking,) = cluster.ask("booking")
    assert (booking["state"], booking["reserved"]) == ("open", {"cpus_milli": 100})
    assert "night" in cluster.quorate("booking").stdout
    bad = cluster.quorate("booking", "set", "night", "batch", "--share", "10", "--cron", "x")
    assert (bad.returncode, "0 22 * * mon-fri" in bad.stderr) == (1, True)
    assert cluster.quorate("booking", "remove", "night").stdout == "booking night: removed\n"
    wait_for(lambda: cluster.ask("reservations") == [], "what was booked to be let go")


def test_explain_says_why_nothing_is_offered(cluster: Cluster) -> None:
    cluster.run("taker", SLEEPER, "--role", "greedy")
    task = cluster.running("taker-0")
    ran = cluster.quorate("explain", task["framework_id"])
    assert ran.returncode == 0, ran.stderr
    assert "it wants no offers in this role until it revives them" in ran.stdout
    ran = cluster.quorate("explain", "greedy", "-o", "json")
    assert "NOBODY_WANTS" in {finding["reason"] for finding in json.loads(ran.stdout)}
    ran = cluster.quorate("explain", "taker-0")
    assert ran.stdout.startswith(f"{task['framework_id']}/taker-0\n  RUNNING on "), ran.stderr
    ran = cluster.quorate("explain", "nobody-at-all")
    assert (ran.returncode, "no role and no task nobody-at-all" in ran.stderr) == (1, True)


def test_weight_is_remembered(cluster: Cluster) -> None:
    ran = cluster.quorate("weight", "heavy", "2.5")
    assert (ran.returncode, ran.stdout) == (0, "heavy: weight 2.5\n")
    assert ran.stderr == "quorate: role heavy has no framework yet\n"
    weights = {role["role"]: role["weight_milli"] for role in cluster.ask("roles")}
    assert weights["heavy"] == 2500


def test_policy_is_remembered_until_it_is_removed(cluster: Cluster) -> None:
    ran = cluster.quorate("policy", "set", "heavy", "--least", "cpus:2;mem:1GiB")
    assert (ran.returncode, ran.stdout) == (0, "heavy: least cpus:2;mem:1GiB\n")
    shown = cluster.quorate("policy").stdout.split()
    assert shown == [
        "ROLE",
        "LEAST",
        "RECLAIMS",
        "SHARERS",
        "heavy",
        "cpus:2",
        "-",
        "1",
        "mem:1GiB",
    ]
    ran = cluster.quorate("policy", "remove", "heavy")
    assert (ran.returncode, ran.stdout) == (0, "heavy: no policy\n")
    assert "no policies" in cluster.quorate("policy").stderr
    ran = cluster.quorate("policy", "set", "heavy", "--least", "cpus:many")
    assert (ran.returncode, "--least" in ran.stderr) == (2, True)


def test_logs_prints_one_output_or_the_other(cluster: Cluster) -> None:
    cluster.quorate("run", "--name", "speaker", "--shell", "--", "echo out; echo err >&2")
    assert cluster.quorate("logs", "speaker-0").stdout == "out\n"
    assert cluster.quorate("logs", "--stderr", "speaker-0").stdout == "err\n"


def test_logs_follows_until_the_task_ends(cluster: Cluster) -> None:
    command = "for i in 1 2 3; do echo $i; sleep 0.4; done"
    cluster.run("counter", command)
    cluster.running("counter-0")
    assert cluster.quorate("logs", "-f", "counter-0").stdout == "1\n2\n3\n"


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [("nosuch", 127, "not found in PATH"), ("/etc/passwd", 126, "not executable")],
)
def test_run_of_a_command_that_cannot_be_run_ends_as_a_shell(
    cluster: Cluster, command: str, code: int, text: str
) -> None:
    ran = cluster.quorate("run", "--name", "unrunnable", "--", command)
    assert ran.returncode == code
    assert f"/unrunnable-0 FAILED: {command}: {text}\n" in ran.stderr


def test_logs_of_a_task_that_never_ran_say_why(cluster: Cluster) -> None:
    cluster.quorate("run", "--name", "unfetched", "--uri", "file:///nowhere", "--", "true")
    silent = cluster.quorate("logs", "unfetched-0")
    assert (silent.returncode, silent.stdout) == (1, "")
    assert "/unfetched-0 has no output: FAILED, fetch failed: " in silent.stderr
    row = next(line for line in cluster.quorate("ps", "-a").stdout.splitlines() if "unf" in line)
    assert row.split()[1:3] == ["FAILED", "fetch"]


def test_teardown_of_an_idle_framework_says_so(cluster: Cluster) -> None:
    run = cluster.run("idle", SLEEPER, "--cpus", "1000")

    def look() -> list[str]:
        found = [each for each in cluster.ask("frameworks") if each["name"] == "idle"]
        return [each["framework_id"] for each in found]

    (framework,) = wait_for(look, "the framework")
    planned = cluster.quorate("teardown", "idle", "--plan").stdout.splitlines()
    assert planned[0] == f"{framework} (idle) would be removed; nothing was done"
    assert planned[-1] == "0 tasks would be killed"
    assert look() == [framework]
    assert cluster.quorate("teardown", "idle").stdout == f"{framework}: removed; it has no tasks\n"
    assert run.wait(10) == 1


def test_kill_ends_a_task(cluster: Cluster) -> None:
    run = cluster.run("victim", SLEEPER)
    task = cluster.running("victim-0")
    planned = cluster.quorate("kill", "victim-0", "--plan").stdout
    assert "victim-0: RUNNING on " in planned
    assert planned.endswith("would be killed; nothing was done\n")
    killed = cluster.quorate("kill", "victim-0")
    assert killed.stdout == f"{task['framework_id']}/victim-0: kill requested\n"
    assert run.wait(20) == 128 + 15


def test_kill_with_no_grace_leaves_no_time(cluster: Cluster) -> None:
    run = cluster.run("deaf", "trap '' TERM; " + SLEEPER)
    cluster.running("deaf-0")
    cluster.quorate("kill", "--grace", "0", "deaf-0")
    assert run.wait(4) == 128 + 9


def test_task_of_two_frameworks_must_be_named_in_full(cluster: Cluster) -> None:
    for _ in range(2):
        cluster.run("twin", SLEEPER)

    def both() -> list[str]:
        found = [task for task in cluster.ask("ps") if task["task_id"] == "twin-0"]
        return sorted(f"{task['framework_id']}/twin-0" for task in found) if found[1:] else []

    listed = wait_for(both, "both twins")
    refused = cluster.quorate("kill", "twin-0")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[0] == "quorate: twin-0 is ambiguous; name one of"
    assert sorted(line.strip() for line in refused.stderr.splitlines()[1:]) == listed


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("kill", "nobody"), "no running task nobody; see `quorate ps`"),
        (("logs", "nobody"), "no task nobody; see `quorate ps -a`"),
        (("teardown", "nobody"), "no framework nobody; see `quorate frameworks`"),
    ],
)
def test_unknown_names_are_said_to_be_so(
    cluster: Cluster, arguments: tuple[str, ...], text: str
) -> None:
    ran = cluster.quorate(*arguments)
    assert (ran.returncode, ran.stderr) == (1, f"quorate: {text}\n")


def test_wrong_secret_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    wrong = tmp_path / "credentials"
    wrong.touch(0o600)
    wrong.write_text("operator guessed operator\n")
    ran = cluster.quorate("ps", "--credentials", str(wrong))
    assert ran.returncode == 1
    assert ran.stderr.startswith("quorate: refused: ")
    assert ran.stderr.count("\n") == 1


def test_stopping_leaves_nothing_behind(tmp_path: Path) -> None:
    directory = tmp_path / "cluster"
    with running_cluster(1, 1, directory) as cluster:
        cluster.run("leftover", SLEEPER)
        pid = cluster.running("leftover-0")["pid"]
    assert not Path(f"/proc/{pid}").exists()
    assert kill_leftovers(directory) == 0
    assert processes_naming(directory) == []


def processes_naming(directory: Path) -> list[str]:
    """The command lines that hold this path, without those that ended meanwhile."""
    commands = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            commands.append(entry.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [command for command in commands if str(directory) in command]


def master(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "master", *arguments],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_master_at_a_port_in_use_says_so(cluster: Cluster, tmp_path: Path) -> None:
    address = cluster.embedded.addresses[0]
    ran = master("--listen", address, "--insecure", "--data-dir", str(tmp_path / "m"))
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == (
        f"quorate master: cannot listen on {address}: another process does; choose another port"
    )


def test_master_in_the_directory_of_another_says_so(cluster: Cluster) -> None:
    directory = cluster.embedded.directory / "m1"
    ran = master("--listen", "127.0.0.1:7999", "--insecure", "--data-dir", str(directory))
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"quorate master: {directory} is in use by another process")


def test_master_that_cannot_make_its_directory_names_it() -> None:
    ran = master("--listen", "127.0.0.1:7999", "--insecure", "--data-dir", "/proc/quorate")
    assert (ran.returncode, ran.stderr) == (
        1,
        "quorate master: /proc/quorate: No such file or directory\n",
    )


def test_master_without_secrets_asks_for_them() -> None:
    ran = master("--listen", "127.0.0.1:7999")
    assert (ran.returncode, ran.stderr) == (
        2,
        "quorate master: credentials: give --credentials FILE, or --insecure for a trial\n",
    )
