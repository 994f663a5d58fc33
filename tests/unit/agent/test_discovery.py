"""What a machine is found to lend."""

import os
import socket
from pathlib import Path

import pytest

from agent.discovery import (
    MIB,
    cpu_limits_milli,
    detect_address,
    detect_resources,
    find_port,
    keep_port,
    lend_memory,
    memory_limits_bytes,
    new_agent_id,
    settle_disk,
)
from protocol.ids import check_id

GIB = 1024 * MIB


@pytest.mark.parametrize(
    ("total", "lent"),
    [(512 * MIB, 256 * MIB), (2 * GIB, 1536 * MIB), (100 * GIB, 90 * GIB)],
)
def test_memory_is_lent_but_for_what_the_machine_needs(total: int, lent: int) -> None:
    assert lend_memory(total) == lent


def test_cpu_quotas_of_every_cgroup_above_count(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "a" / "b" / "cpu.max").write_text("max 100000\n")
    assert cpu_limits_milli(tmp_path, "0::/a/b\n") == [1500]


def test_cpu_quota_of_the_first_version_counts(tmp_path: Path) -> None:
    (tmp_path / "cpu" / "a").mkdir(parents=True)
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "cpu" / "a" / "cpu.cfs_quota_us").write_text("50000\n")
    (tmp_path / "cpu" / "a" / "cpu.cfs_period_us").write_text("100000\n")
    assert cpu_limits_milli(tmp_path, "5:memory:/a\n4:cpu,cpuacct:/a\n") == [500]


def test_memory_limit_counts(tmp_path: Path) -> None:
    (tmp_path / "memory" / "a").mkdir(parents=True)
    (tmp_path / "memory" / "a" / "memory.limit_in_bytes").write_text("1048576\n")
    assert memory_limits_bytes(tmp_path, "5:memory:/a\n") == [1048576]


def test_cgroups_that_are_not_there_limit_nothing(tmp_path: Path) -> None:
    assert cpu_limits_milli(tmp_path, "0::/a\n4:cpu:/a\nnonsense\n") == []


def test_resources_of_this_machine_are_what_it_has(tmp_path: Path) -> None:
    found = detect_resources(10 * GIB)
    assert 0 < found.scalars["cpus"] <= len(os.sched_getaffinity(0)) * 1000
    assert found.scalars["mem"] > 0
    assert found.scalars["disk"] == 10 * GIB
    assert found.ranges["ports"] == ((31000, 32000),)


def test_disk_stays_what_it_was_at_the_first_start(tmp_path: Path) -> None:
    first = settle_disk(tmp_path / "disk", tmp_path)
    assert first > 0
    (tmp_path / "disk").write_text("12345\n")
    assert settle_disk(tmp_path / "disk", tmp_path) == 12345


def test_port_is_taken_again_unless_another_has_it(tmp_path: Path) -> None:
    kept = tmp_path / "port"
    assert find_port(kept, "127.0.0.1") == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        keep_port(kept, port)
        assert find_port(kept, "127.0.0.1") == 0
    assert find_port(kept, "127.0.0.1") == port
    kept.write_text("70000")
    assert find_port(kept, "127.0.0.1") == 0


def test_address_is_the_one_on_the_way_to_the_masters() -> None:
    assert detect_address("127.0.0.1:7000") == "127.0.0.1"


@pytest.mark.parametrize("hostname", ["web1", "a" * 60, "ä.b_c", "...", ""])
def test_agent_id_is_fit_for_a_directory(hostname: str) -> None:
    assert check_id(new_agent_id(hostname, 0xABCDEF)) is None
    assert new_agent_id(hostname, 0xABCDEF).endswith("-abcdef")
