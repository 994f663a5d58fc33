"""Containers of this machine: what they are given, how they end, and who survives whom."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from agent.containerizer import connection
from agent.containerizer.containerizer import (
    Exited,
    LaunchFailed,
)
from tests.containers import (
    STUBBORN,
    Containers,
    each_backend,
    find_processes,
    needs_root,
    python,
    run_containers,
)

HOG = "x = []\nwhile True: x.append(bytearray(1 << 20))"
FORKER = """
import os, time
made = 0
try:
    while made < 100:
        if os.fork() == 0:
            time.sleep(60)
        made += 1
except OSError as error:
    print(made, error.errno, flush=True)
"""


@each_backend
@pytest.mark.parametrize(
    ("script", "exit_code", "number"),
    [("exit 0", 0, 0), ("exit 3", 3, 0), ("kill -9 $$", 0, 9), ("kill -11 $$", 0, 11)],
)
def test_end_is_told_as_it_was(
    tmp_path: Path, backend: str, script: str, exit_code: int, number: int
) -> None:
    async def body(containers: Containers) -> None:
        await containers.launch("c", "/bin/sh", "-c", script)
        exited = await containers.end_of("c")
        assert (exited.exit_code, exited.signal) == (exit_code, number)
        assert not exited.is_out_of_memory
        assert not exited.was_lost
        assert exited.cpu_ns > 0

    run_containers(tmp_path, backend, body)


@each_backend
def test_command_gets_a_clean_process(tmp_path: Path, backend: str) -> None:
    async def body(containers: Containers) -> None:
        script = (
            "umask; pwd; ls /proc/self/fd | wc -l; readlink /proc/self/fd/0; echo to-stderr >&2;"
            "grep -E 'SigBlk|SigIgn|NoNewPrivs' /proc/self/status; env"
        )
        await containers.launch("c", "/bin/sh", "-c", script)
        await containers.end_of("c")
        lines = containers.output("c").splitlines()
        sandbox = f"{tmp_path}/sandboxes/c"
        assert lines[:4] == ["0022", sandbox, "4", "/dev/null"]  # 4: ls has the directory open
        zero = "0" * 16
        assert lines[4:7] == [
            f"SigBlk:\t{zero}",
            f"SigIgn:\t{zero}",
            "NoNewPrivs:\t1",
        ]
        assert {line.partition("=")[0] for line in lines[7:]} <= {"PATH", "PWD", "_", "SHLVL"}
        assert containers.output("c", "stderr") == "to-stderr\n"

    run_containers(tmp_path, backend, body)


@each_backend
@pytest.mark.parametrize(
    ("argv", "user", "step", "text"),
    [
        (("/no/such/command",), "", "lookup", "/no/such/command: no such file"),
        (("no-such-command",), "", "lookup", "no-such-command: not found in PATH"),
        (("/etc/passwd",), "", "exec", "/etc/passwd: not executable"),
        (("/etc",), "", "exec", "/etc: not executable"),
        (("/" + 5000 * "é",), "", "exec", "…: File name too long"),
        ((), "", "exec", "the command is empty"),
        (("true\0",), "", "exec", "embedded null"),
        (("true",), "no-such-user", "user", "there is no user no-such-user"),
    ],
)
def test_unusable_command_fails_with_its_step(
    tmp_path: Path, backend: str, argv: tuple[str, ...], user: str, step: str, text: str
) -> None:
    async def body(containers: Containers) -> None:
        spec = replace(containers.spec("c", *argv), user=user)
        failed = await containers.containerizer.launch(spec)
        assert isinstance(failed, LaunchFailed)
        assert failed.step == step
        assert text in failed.text
        adopted = await containers.containerizer.adopt("c")
        assert isinstance(adopted, Exited)
        assert text in adopted.message

    run_containers(tmp_path, backend, body)


def test_command_may_hold_as_many_descriptors_as_the_agent_was_started_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(containers: Containers) -> None:
        await containers.launch("c", "/bin/sh", "-c", "ulimit -Sn")
        await containers.end_of("c")
        assert containers.output("c") == "512\n"

    monkeypatch.setattr(connection, "DESCRIPTORS_MAX", 512)
    run_containers(tmp_path, "process", body)


@each_backend
def test_missing_sandbox_fails_with_its_step(tmp_path: Path, backend: str) -> None:
    async def body(containers: Containers) -> None:
        spec = replace(containers.spec("c", "/bin/true"), sandbox=f"{tmp_path}/none")
        failed = await containers.containerizer.launch(spec)
        assert isinstance(failed, LaunchFailed)
        assert failed.step == "sandbox"
        assert f"{tmp_path}/none" in failed.text

    run_containers(tmp_path, backend, body)


@each_backend
def test_words_reach_the_command_unchanged(tmp_path: Path, backend: str) -> None:
    async def body(containers: Containers) -> None:
        word = "blank ' quote \" é \n 漢"
        spec = containers.spec("c", "/bin/sh", "-c", 'printf "%s|%s" "$1" "$WORD"', "sh", word)
        await containers.launch_spec(replace(spec, environment=(("WORD", word),)))
        await containers.end_of("c")
        assert containers.output("c") == f"{word}|{word}"

    run_containers(tmp_path, backend, body)


@each_backend
def test_container_is_never_launched_twice(tmp_path: Path, backend: str) -> None:
    async def body(containers: Containers) -> None:
        await containers.launch("c", "/bin/true")
        await containers.end_of("c")
        again = await containers.containerizer.launch(containers.spec("c", "/bin/true"))
        assert again == LaunchFailed("claim", "a container of this name was launched before")
        await containers.containerizer.destroy("c")
        await containers.containerizer.destroy("c")
        assert await containers.containerizer.adopt("c") is None

    run_containers(tmp_path, backend, body)


@each_backend
def test_long_work_directory_is_no_obstacle(tmp_path: Path, backend: str) -> None:
    async def body(containers: Containers) -> None:
        await containers.launch("c", "/bin/true")
        assert (await containers.end_of("c")).exit_code == 0

    work_dir = tmp_path / ("d" * 120)
    work_dir.mkdir()
    run_containers(work_dir, backend, body)


@each_backend
def test_term_ends_a_task_without_handler(tmp_path: Path, backend: str) -> None:
    async def body(containers: Containers) -> None:
        await containers.launch("c", "sleep", "3600")
        await containers.containerizer.kill("c", grace_s=15)
        assert (await containers.end_of("c")).signal == signal.SIGTERM

    run_containers(tmp_path, backend, body)


@each_backend
def test_signal_reaches_the_first_process(tmp_path: Path, backend: str) -> None:
    async def body(containers: Containers) -> None:
        script = "trap 'echo got; exit 5' USR1; echo ready; while true; do sleep 0.01; done"
        await containers.launch("c", "/bin/sh", "-c", script)
        await containers.wait_for_output("c", "ready")
        await containers.containerizer.signal("c", signal.SIGUSR1)
        assert (await containers.end_of("c")).exit_code == 5
        await containers.containerizer.signal("c", signal.SIGUSR1)  # ended: nothing to do

    run_containers(tmp_path, backend, body)


@each_backend
@pytest.mark.parametrize("way", ["kill", "signal", "end"])
def test_stubborn_tree_dies_entirely(tmp_path: Path, backend: str, way: str) -> None:
    async def body(containers: Containers) -> None:
        started = await containers.launch("c", *python(STUBBORN))
        await containers.wait_for_output("c", "ready")
        inside = [line for line in find_processes(f"{tmp_path}/sandboxes") if "3600" in line]
        assert len(inside) == 4
        if way == "kill":
            await containers.containerizer.kill("c", grace_s=0.1)
        elif way == "signal":
            await containers.containerizer.signal("c", signal.SIGKILL)
        else:
            os.kill(started.pid, signal.SIGKILL)
        assert (await containers.end_of("c")).signal == signal.SIGKILL
        assert find_processes(f"{tmp_path}/sandboxes") == []

    run_containers(tmp_path, backend, body)


@each_backend
def test_orphans_do_not_hold_up_the_end(tmp_path: Path, backend: str) -> None:
    async def body(containers: Containers) -> None:
        await containers.launch("c", "/bin/sh", "-c", "setsid sleep 3600 & exit 4")
        assert (await containers.end_of("c")).exit_code == 4

    run_containers(tmp_path, backend, body)


@each_backend
def test_user_is_switched_with_all_groups(tmp_path: Path, backend: str) -> None:
    async def body(containers: Containers) -> None:
        os.chmod(tmp_path, 0o755)
        script = "id -un; id -Gn; touch mine && echo to-stdout >> /dev/stdout"
        spec = replace(containers.spec("c", "/bin/sh", "-c", script), user="nobody")
        await containers.launch_spec(spec)
        exited = await containers.end_of("c")
        assert exited.exit_code == 0, containers.output("c", "stderr")
        assert containers.output("c").splitlines() == ["nobody", "nogroup", "to-stdout"]

    for path in (tmp_path, *tmp_path.parents[:2]):
        os.chmod(path, 0o755)
    run_containers(tmp_path, backend, body)


@each_backend
def test_reductions_say_what_is_not_isolated(tmp_path: Path, backend: str) -> None:
    async def body(containers: Containers) -> None:
        containerizer = containers.containerizer
        assert containerizer.reductions
        if backend == "process":
            assert containerizer.isolation == ()
        else:
            assert containerizer.isolation[-1] == "namespaces:pid,mnt,uts,ipc"
        await containers.launch("c", "sleep", "3600")
        usage = containerizer.usage("c")
        assert usage is not None
        assert usage.pids == 1
        assert usage.stamp_ns > 0
        assert containerizer.usage("other") is None

    run_containers(tmp_path, backend, body)


@needs_root
def test_namespaces_hide_the_machine(tmp_path: Path) -> None:
    async def body(containers: Containers) -> None:
        script = "echo $$; hostname; ls -d /proc/[0-9]* | wc -l; readlink /proc/1/exe"
        spec = replace(containers.spec("c", "/bin/sh", "-c", script), hostname="box")
        await containers.launch_spec(spec)
        await containers.end_of("c")
        pid, hostname, processes, _ = containers.output("c").splitlines()
        assert (pid, hostname) == ("2", "box")
        assert int(processes) <= 4

    run_containers(tmp_path, "native", body)


@needs_root
def test_memory_limit_is_told_apart_from_a_kill(tmp_path: Path) -> None:
    async def body(containers: Containers) -> None:
        spec = replace(containers.spec("c", *python(HOG)), memory_bytes=48 << 20)
        await containers.launch_spec(spec)
        exited = await containers.end_of("c")
        assert exited.is_out_of_memory
        assert exited.signal == signal.SIGKILL
        assert exited.memory_peak_bytes == 48 << 20

    run_containers(tmp_path, "native", body)


@needs_root
def test_fork_bomb_is_held_to_its_limit(tmp_path: Path) -> None:
    async def body(containers: Containers) -> None:
        spec = replace(containers.spec("c", *python(FORKER)), pids_max=10)
        await containers.launch_spec(spec)
        assert (await containers.end_of("c")).exit_code == 0
        assert containers.output("c") == "9 11\n"

    run_containers(tmp_path, "native", body)


@needs_root
def test_cpu_quota_holds(tmp_path: Path) -> None:
    async def body(containers: Containers) -> None:
        spec = replace(containers.spec("c", *python("while True: pass")), cpus_milli=200)
        await containers.launch_spec(spec)
        while True:
            usage = containers.containerizer.usage("c")
            assert usage is not None
            if usage.periods >= 8:
                break
            await asyncio.sleep(0.02)
        assert usage.throttled_periods >= usage.periods // 2
        assert usage.cpu_ns <= (usage.periods + 2) * 20_000_000 * 1.25
        assert usage.throttled_ns > 0

    run_containers(tmp_path, "native", body)
