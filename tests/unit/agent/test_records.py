"""The runtime directory: claims are taken once, records are whole or absent."""

import os
from pathlib import Path

import pytest

from agent.containerizer import records
from agent.containerizer.records import ExitRecord, Order, PidRecord

PID = PidRecord(7, 8, 5, 6, 3, 4, "boot")


def test_order_survives_writing(tmp_path: Path) -> None:
    order = Order("c", ["a b", "é"], {"K": "v"}, "/s", 1, 2, 3, "", "h", True, {"version": 1})
    records.write_order(str(tmp_path), order)
    assert records.read_order(str(tmp_path)) == order
    assert (tmp_path / "spec.json").stat().st_mode & 0o77 == 0  # environments hold secrets


def test_claim_is_taken_once(tmp_path: Path) -> None:
    claim = records.take_claim(str(tmp_path))
    with pytest.raises(FileExistsError):
        records.take_claim(str(tmp_path))
    os.close(claim)


def test_claim_tells_whether_its_holder_lives(tmp_path: Path) -> None:
    directory = str(tmp_path)
    assert not records.is_supervised(directory)
    claim = records.take_claim(directory)
    assert records.is_supervised(directory)
    os.close(claim)
    assert records.is_claimed(directory)
    assert not records.is_supervised(directory)
    records.drop_claim(directory)
    assert not records.is_claimed(directory)


def test_pid_record_survives_writing(tmp_path: Path) -> None:
    assert records.read_pid(str(tmp_path)) is None
    records.write_pid(str(tmp_path), PID)
    assert records.read_pid(str(tmp_path)) == PID


@pytest.mark.parametrize("kept", [0, 1, 20])
def test_pid_record_torn_by_a_power_cut_is_absent(tmp_path: Path, kept: int) -> None:
    records.write_pid(str(tmp_path), PID)
    path = tmp_path / "pid.json"
    path.write_bytes(path.read_bytes()[:kept])
    assert records.read_pid(str(tmp_path)) is None


def test_exit_record_replaces_no_half_of_itself(tmp_path: Path) -> None:
    assert records.read_exit(str(tmp_path)) is None
    (tmp_path / "exit.json.tmp").write_text('{"exit_')  # an earlier try that was cut short
    record = ExitRecord(exit_code=3, cpu_ns=4)
    records.write_exit(str(tmp_path), record)
    assert records.read_exit(str(tmp_path)) == record
    assert not (tmp_path / "exit.json.tmp").exists()
