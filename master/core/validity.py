"""What callers may say: each check returns why the master says no, or None.

Everything checked here ends up in the log of every master, hence the bounds on sizes.
"""

from collections.abc import Iterable, Sequence

from master.core.reasons import Reason
from master.core.settings import DAY_NS, SECOND_NS, Settings
from protocol.decision import Refused
from protocol.ids import check_id
from protocol.messages.agent import RegisterAgent
from protocol.messages.framework import Subscribe
from protocol.messages.values import Attribute, Label, TaskDescription
from protocol.resources import Resources, format_amount, format_resources, validate

NAME_CHARACTERS_MAX = 256
LABEL_CHARACTERS_MAX = 1024
URI_CHARACTERS_MAX = 4096
LABELS_MAX = 64
ROLES_MAX = 32  # of one framework
ARGUMENTS_MAX = 1024
VARIABLES_MAX = 1024
URIS_MAX = 64
DESCRIPTION_BYTES_MAX = 256 << 10  # a frame holds several, an entry of the log too
RESOURCE_PARTS_MAX = 4096  # ranges and items of one value, half of an entry of the log
OPERATIONS_MAX = 1000  # of one accept, kills of one call
OFFERS_MAX = 100  # answered in one accept
RECONCILED_MAX = 10_000
REGISTERED_TASKS_MAX = 100_000
REGISTERED_VOLUMES_MAX = 1000
MOUNTS_MAX = 16  # of one task
MOUNT_CHARACTERS_MAX = 256
COMPLETION_MAX_NS = 10 * 365 * DAY_NS
SIGNAL_MAX = 64
VISIBILITIES = ("framework", "cluster", "external")
PROTOCOLS = ("tcp", "udp")
SERVICE_PORTS_MAX = 64
ROLE_OF_ALL = "*"
ROLE_DEPTH_MAX = 8
STATIC_MAX = 64  # roles that one agent's configuration reserves for


def check_subscribe(subscribe: Subscribe, settings: Settings) -> Refused | None:
    """Check what a scheduler says of itself."""
    texts = (
        ("name", subscribe.name),
        ("user", subscribe.user),
        ("hostname", subscribe.hostname),
        ("token", subscribe.token),
    )
    if not subscribe.roles:
        return Refused(Reason.BAD_ROLE, "a framework names at least one role")
    return (
        check_texts(texts)
        or check_count("roles", len(subscribe.roles), ROLES_MAX)
        or _first(check_role(role) for role in subscribe.roles)
        or check_duration(
            "failover timeout", subscribe.failover_timeout_ns, settings.failover_max_ns
        )
        or check_labels(subscribe.labels)
    )


def check_registration(register: RegisterAgent) -> Refused | None:
    """Check what an agent says of itself."""
    if fault := check_id(register.agent_id):
        return Refused(Reason.BAD_ID, f"agent id {register.agent_id[:140]!r}: {fault}")
    texts = (
        ("hostname", register.hostname),
        ("address", register.address),
        ("boot id", register.boot_id),
        ("version", register.version),
        *(("isolation", name) for name in register.isolation),
    )
    return (
        check_texts(texts)
        or check_resources(f"agent {register.agent_id}", register.resources)
        or check_labels(register.attributes)
        or check_count("isolation names", len(register.isolation), LABELS_MAX)
        or _check_static(register)
        or check_count("tasks", len(register.tasks), REGISTERED_TASKS_MAX)
        or check_count("volumes", len(register.volumes), REGISTERED_VOLUMES_MAX)
    )


def _check_static(register: RegisterAgent) -> Refused | None:
    """Check what an agent's configuration reserves: parts of what it has."""
    roles = [each.role for each in register.reserved]
    whose = f"agent {register.agent_id}"
    refused = check_count("roles with reservations", len(roles), STATIC_MAX) or _first(
        check_reservable(each.role) or check_resources(f"{whose} for {each.role}", each.resources)
        for each in register.reserved
    )
    if refused:
        return refused
    rest = register.resources
    for each in register.reserved:
        if roles.count(each.role) > 1:
            return Refused(Reason.BAD_ROLE, f"{whose} reserves for {each.role} twice")
        if not rest.contains(each.resources):
            text = f"{whose} reserves more than it has: {format_resources(each.resources)}"
            return Refused(Reason.BAD_RESOURCES, f"{text} for {each.role}")
        rest = rest - each.resources
    return None


def check_description(description: TaskDescription, settings: Settings) -> Refused | None:
    """Check a task that a framework wants to launch."""
    task_id = description.task_id
    if fault := check_id(task_id):
        return Refused(Reason.BAD_ID, f"task id {task_id[:140]!r}: {fault}")
    if refused := check_resources(f"task {task_id}", description.resources):
        return refused
    for name in ("cpus", "mem"):
        if name not in description.resources.scalars:
            text = f"task {task_id} asks for no {name}; every task needs cpus and mem"
            return Refused(Reason.BAD_RESOURCES, text)
    return (
        _check_command(description)
        or _check_size(description)
        or _check_environment(description)
        or _check_uris(description)
        or check_labels(description.labels)
        or (_check_mounts(description) if description.volumes else None)
        or _check_replaces(description)
        or _check_signal(description)
        or _check_discovery(description)
        or _check_limits(description)
        or check_texts((("name", description.name), ("user", description.user)))
        or check_duration("kill grace", description.kill_grace_ns, settings.grace_max_ns)
        or check_duration("completion time", description.completion_ns, COMPLETION_MAX_NS)
    )


def check_role(role: str) -> Refused | None:
    """Refuse what is no path of names such as `eng/search`."""
    names = role.split("/", ROLE_DEPTH_MAX)
    fault = None if role == ROLE_OF_ALL else next(filter(None, map(check_id, names)), None)
    if fault and len(names) > 1:
        fault = f"of one of its names: {fault}"
    if len(names) > ROLE_DEPTH_MAX:
        fault = f"it is more than {ROLE_DEPTH_MAX} levels deep"
    return Refused(Reason.BAD_ROLE, f"role {role[:140]!r}: {fault}") if fault else None


def check_reservable(role: str) -> Refused | None:
    """Refuse what is no role, and the one that is for everybody."""
    if role == ROLE_OF_ALL:
        return Refused(Reason.BAD_ROLE, f"what is for role {role} is not reserved")
    return check_role(role)


def check_duration(what: str, duration_ns: int, duration_max_ns: int) -> Refused | None:
    if 0 <= duration_ns <= duration_max_ns:
        return None
    text = f"{what} is {format_duration(duration_ns)}"
    text = f"{text}, it must be 0 to {format_duration(duration_max_ns)}"
    return Refused(Reason.BAD_DURATION, text)


def format_duration(duration_ns: int) -> str:
    """Return a duration for people: in seconds if that is exact."""
    seconds, rest_ns = divmod(duration_ns, SECOND_NS)
    return f"{duration_ns} ns" if rest_ns else f"{seconds} s"


def check_count(what: str, count: int, count_max: int) -> Refused | None:
    if count <= count_max:
        return None
    return Refused(Reason.TOO_MANY, f"{count} {what}, at most {count_max} are allowed")


def check_resources(whose: str, resources: Resources) -> Refused | None:
    if fault := validate(resources):
        return Refused(Reason.BAD_RESOURCES, f"resources of {whose}: {fault}")
    parts = sum(map(len, (*resources.ranges.values(), *resources.sets.values())))
    return check_count(f"ranges and items in the resources of {whose}", parts, RESOURCE_PARTS_MAX)


def check_texts(texts: Iterable[tuple[str, str]]) -> Refused | None:
    """Check short texts that people and files will see."""
    for what, text in texts:
        if len(text) > NAME_CHARACTERS_MAX:
            fault = f"has {len(text)} characters, at most {NAME_CHARACTERS_MAX} are allowed"
            return Refused(Reason.BAD_NAME, f"{what} {text[:40]!r}… {fault}")
        if not text.isprintable():
            return Refused(Reason.BAD_NAME, f"{what} {text!r} has characters without a shape")
    return None


def _check_command(description: TaskDescription) -> Refused | None:
    command = description.command
    if not command or not command[0]:
        return Refused(Reason.BAD_COMMAND, f"task {description.task_id} has no command")
    if any("\0" in argument for argument in command):
        text = f"the command of task {description.task_id} has a zero character"
        return Refused(Reason.BAD_COMMAND, text)
    return check_count("arguments", len(command), ARGUMENTS_MAX)


def _check_size(description: TaskDescription) -> Refused | None:
    what = f"bytes in the description of task {description.task_id}"
    return check_count(what, weigh_description(description), DESCRIPTION_BYTES_MAX)


def weigh_description(description: TaskDescription) -> int:
    """Return about how many bytes it takes in a message or in the log, rather more than fewer."""
    texts = [description.task_id, description.name, description.user, *description.command]
    texts.append(description.replaces)
    discovery = description.discovery
    texts += (discovery.name, discovery.visibility)
    for port in discovery.ports:
        texts += (port.name, port.protocol)
    for uri in description.uris:
        texts += (uri.value, uri.filename)
    for variable in description.environment:
        texts += (variable.name, variable.value)
    for label in description.labels:
        texts += (label.name, label.value)
    weight = 256 + sum(map(weigh_text, texts))
    for mount in description.volumes:
        weight += 16 + weigh_text(mount.volume) + weigh_text(mount.path)
    for items in description.resources.sets.values():
        weight += sum(map(weigh_text, items))
    return weight + 16 * sum(map(len, description.resources.ranges.values()))


def weigh_text(text: str) -> int:
    """Return about how many bytes a text takes, its pointer and padding included."""
    return 16 + (len(text) if text.isascii() else len(text.encode()))


def _check_environment(description: TaskDescription) -> Refused | None:
    for variable in description.environment:
        if not variable.name or "=" in variable.name or "\0" in variable.name + variable.value:
            text = f"task {description.task_id} has a bad variable {variable.name[:80]!r}"
            return Refused(Reason.BAD_DESCRIPTION, text)
    return check_count("environment variables", len(description.environment), VARIABLES_MAX)


def _check_uris(description: TaskDescription) -> Refused | None:
    for uri in description.uris:
        if not 0 < len(uri.value) <= URI_CHARACTERS_MAX or not uri.value.isprintable():
            text = f"task {description.task_id} has a bad uri {uri.value[:80]!r}"
            return Refused(Reason.BAD_DESCRIPTION, text)
        if uri.filename and (fault := _fault_of_filename(uri.filename)):
            text = f"task {description.task_id} wants the file {uri.filename[:80]!r}: {fault}"
            return Refused(Reason.BAD_DESCRIPTION, text)
    return check_count("uris", len(description.uris), URIS_MAX)


def _check_mounts(description: TaskDescription) -> Refused | None:
    names = [mount.volume for mount in description.volumes]
    if refused := check_count("volumes of one task", len(names), MOUNTS_MAX):
        return refused
    taken: list[tuple[str, ...]] = [("stdout",), ("stderr",)]
    for mount in description.volumes:
        parts = tuple(mount.path.split("/"))
        fault = next((fault for part in parts if (fault := check_id(part))), None)
        if len(mount.path) > MOUNT_CHARACTERS_MAX:
            fault = f"it has more than {MOUNT_CHARACTERS_MAX} characters"
        if any(parts[: len(other)] == other or other[: len(parts)] == parts for other in taken):
            fault = "something else is there"
        if fault:
            text = (
                f"task {description.task_id} wants volume {mount.volume[:140]!r} at "
                f"{mount.path[:80]!r}, which is no path in its sandbox: {fault}"
            )
            return Refused(Reason.BAD_DESCRIPTION, text)
        taken.append(parts)
    if len(dict.fromkeys(names)) < len(names):
        text = f"task {description.task_id} names a volume twice"
        return Refused(Reason.BAD_DESCRIPTION, text)
    return None


def _fault_of_filename(filename: str) -> str | None:
    if "/" in filename or filename in (".", ".."):
        return "it must stay in the sandbox"
    if len(filename.encode()) > 255 or not filename.isprintable():
        return "no file system takes it"
    return None


def _check_signal(description: TaskDescription) -> Refused | None:
    if 0 <= description.kill_signal <= SIGNAL_MAX:
        return None
    text = f"task {description.task_id} is to be ended by signal {description.kill_signal}: "
    return Refused(Reason.BAD_DESCRIPTION, f"{text}there are 1 to {SIGNAL_MAX}")


def _check_discovery(description: TaskDescription) -> Refused | None:
    """Check what others shall find: names and words that can stand in a directory."""
    discovery = description.discovery
    if not discovery.name:
        fault = "it names no service" if discovery.visibility or discovery.ports else None
    else:
        fault = check_id(discovery.name)
    if discovery.name and discovery.visibility not in VISIBILITIES:
        fault = f"visibility {discovery.visibility[:40]!r} is none of {', '.join(VISIBILITIES)}"
    for port in discovery.ports[:SERVICE_PORTS_MAX]:
        if port.protocol not in PROTOCOLS or not port.number:
            fault = (
                f"port {port.number} {port.protocol[:40]!r} is no port of {' or '.join(PROTOCOLS)}"
            )
        elif port.name and (wrong := check_id(port.name)):
            fault = f"port {port.number} is named {port.name[:40]!r}: {wrong}"
    if fault:
        text = f"discovery of task {description.task_id}: {fault}"
        return Refused(Reason.BAD_DESCRIPTION, text)
    return check_count("ports in a discovery", len(discovery.ports), SERVICE_PORTS_MAX)


def _check_limits(description: TaskDescription) -> Refused | None:
    """A limit lets a task use more than is set aside for it, never less."""
    limits = description.limits
    if not limits:
        return None
    fault = validate(limits)
    names = [*limits.scalars, *limits.ranges, *limits.sets]
    if other := [name for name in names if name not in ("cpus", "mem")]:
        fault = f"{other[0]} has no limit of its own, only cpus and mem have"
    for name, limit in limits.scalars.items():
        asked = description.resources.scalars.get(name, 0)
        if not fault and limit < asked:
            fault = f"{name} {format_amount(name, limit)} is less than it asks for, "
            fault += format_amount(name, asked)
    text = f"limits of task {description.task_id}: {fault}"
    return Refused(Reason.BAD_RESOURCES, text) if fault else None


def _check_replaces(description: TaskDescription) -> Refused | None:
    if not description.replaces or not (fault := check_id(description.replaces)):
        return None
    text = f"task {description.task_id} replaces {description.replaces[:140]!r}: {fault}"
    return Refused(Reason.BAD_ID, text)


def check_labels(labels: Sequence[Label] | Sequence[Attribute]) -> Refused | None:
    for label in labels:
        if not label.name or len(label.name) > NAME_CHARACTERS_MAX:
            text = f"a label is named {label.name[:40]!r}, 1 to {NAME_CHARACTERS_MAX} characters"
            return Refused(Reason.BAD_NAME, f"{text} are allowed")
        if len(label.value) > LABEL_CHARACTERS_MAX:
            text = f"label {label.name} has {len(label.value)} characters"
            return Refused(Reason.BAD_NAME, f"{text}, at most {LABEL_CHARACTERS_MAX} are allowed")
    return check_count("labels", len(labels), LABELS_MAX)


def _first(checks: Iterable[Refused | None]) -> Refused | None:
    return next((refused for refused in checks if refused is not None), None)
