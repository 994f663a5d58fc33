"""Environment: what a task finds in its environment variables."""

from protocol.messages.agent import Launch

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PORTS_MAX = 1024  # that get a variable of their own


def environment_of(launch: Launch, agent_id: str, sandbox: str) -> tuple[tuple[str, str], ...]:
    """The variables of a task, sorted: a usual start, its own, and those that say where it is."""
    description = launch.description
    spans = description.resources.ranges.get("ports", ())
    variables = {"PATH": PATH, "HOME": sandbox}
    variables |= {variable.name: variable.value for variable in description.environment}
    variables |= {
        "QUORATE_TASK_ID": description.task_id,
        "QUORATE_FRAMEWORK_ID": launch.framework_id,
        "QUORATE_AGENT_ID": agent_id,
        "QUORATE_SANDBOX": sandbox,
    }
    if spans:
        variables["QUORATE_PORTS"] = ",".join(_span_text(*span) for span in spans)
        ports = (port for first, last in spans for port in range(first, last + 1))
        for number, port in zip(range(PORTS_MAX), ports, strict=False):
            variables[f"PORT{number}"] = str(port)
    return tuple(sorted(variables.items()))


def _span_text(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
