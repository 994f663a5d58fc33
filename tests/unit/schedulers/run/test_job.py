"""The job: options become descriptions, and bad ones are named."""

import pytest

from protocol.messages.values import Uri, Variable
from protocol.resources import parse_resources
from schedulers.matching import Placement
from schedulers.run.job import JobError, JobOptions, make_job


def test_job_describes_each_instance_with_its_placement() -> None:
    job = make_job(
        JobOptions(
            ("serve", "-v"),
            name="web",
            instances=2,
            ports=1,
            variables=("A=b=c", "EMPTY="),
            uris=("http://h/app.tar.gz", "/etc/hosts"),
            user="nobody",
        )
    )
    assert list(job.demands) == ["web-0", "web-1"]
    demand = job.demands["web-1"]
    assert demand.resources == parse_resources("cpus:0.1;mem:64MiB") and demand.ports == 1
    placed = parse_resources("cpus:0.1;mem:64MiB;ports:[31000]")
    task = job.describe(Placement(demand, placed))
    assert (task.task_id, task.name, task.command) == ("web-1", "web", ("serve", "-v"))
    assert task.resources == placed and task.user == "nobody"
    assert task.environment == (Variable("A", "b=c"), Variable("EMPTY", ""))
    assert task.uris == (Uri("http://h/app.tar.gz", extract=True), Uri("/etc/hosts"))


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (("/usr/bin/python3", "x.py"), "python3"),
        (("./my script.sh",), "my"),
        (("é",), "task"),
        (("echo hello; ls",), "echo"),
    ],
)
def test_job_is_named_after_its_command(command: tuple[str, ...], name: str) -> None:
    assert make_job(JobOptions(command)).name == name


@pytest.mark.parametrize(
    ("words", "line"),
    [(("echo $A | wc",), "echo $A | wc"), (("echo", "a b"), "echo 'a b'")],
)
def test_job_runs_by_the_shell(words: tuple[str, ...], line: str) -> None:
    assert make_job(JobOptions(words, is_shell=True)).description.command == ("/bin/sh", "-c", line)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (JobOptions(()), "no command"),
        (JobOptions(("a",), cpus="many"), "cpus:many"),
        (JobOptions(("a",), mem="64"), "needs a unit"),
        (JobOptions(("a",), mem="10XB"), "unknown unit 'XB'; known are B, KiB"),
        (JobOptions(("a",), instances=0), "--instances 0"),
        (JobOptions(("a",), ports=-1), "--ports -1"),
        (JobOptions(("a",), name="a/b"), "--name 'a/b'"),
        (JobOptions(("a",), variables=("A",)), "--env 'A'"),
        (JobOptions(("a",), uris=(" ",)), "--uri"),
        (JobOptions(("a",), constraints=("rack",)), "constraint 'rack'"),
    ],
)
def test_job_refuses_options_that_make_no_sense(options: JobOptions, text: str) -> None:
    with pytest.raises(JobError, match=text):
        make_job(options)
