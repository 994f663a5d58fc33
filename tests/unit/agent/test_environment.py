"""A task's environment says where it is."""

from agent.environment import PATH, environment_of
from protocol.messages.agent import Launch
from protocol.messages.values import TaskDescription, Variable
from protocol.resources import parse_resources


def environment(*variables: Variable, resources: str = "cpus:1") -> dict[str, str]:
    description = TaskDescription(
        task_id="t1", environment=variables, resources=parse_resources(resources)
    )
    return dict(environment_of(Launch(1, "f1", "web", description), "a1", "/s"))


def test_environment_names_task_framework_agent_and_sandbox() -> None:
    assert environment() == {
        "PATH": PATH,
        "HOME": "/s",
        "QUORATE_TASK_ID": "t1",
        "QUORATE_FRAMEWORK_ID": "f1",
        "QUORATE_AGENT_ID": "a1",
        "QUORATE_SANDBOX": "/s",
    }


def test_environment_of_the_task_may_change_the_usual_but_not_the_names() -> None:
    found = environment(Variable("PATH", "/bin"), Variable("QUORATE_TASK_ID", "other"))
    assert (found["PATH"], found["QUORATE_TASK_ID"]) == ("/bin", "t1")


def test_environment_lists_ports_and_numbers_them() -> None:
    found = environment(resources="ports:[31000-31001,31005-31005]")
    assert found["QUORATE_PORTS"] == "31000-31001,31005"
    assert [found[f"PORT{n}"] for n in range(3)] == ["31000", "31001", "31005"]
