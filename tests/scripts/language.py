"""The language of the scripts: one verb a line, and what the master says to it.

A script is a row of blocks: commands, a line `----`, the expected output, an empty line.
Agents remember what they are told to launch, as real ones do, until `forget`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from master.core.agents import AgentUnlinked, RegisterAgent
from master.core.draft import Outcome
from master.core.effects import Effect, SendAcknowledge, SendLaunch
from master.core.explaining import explain
from master.core.frameworks import (
    FrameworkUnlinked,
    LeaveFramework,
    SubscribeFramework,
    TeardownFramework,
)
from master.core.inverse import AnswerInverseOffers
from master.core.machine import Command
from master.core.offers import AcceptOffers, DeclineOffers
from master.core.requests import RequestResources
from master.core.resizes import ResizeTask
from master.core.roles import ReviveOffers, SuppressOffers
from master.core.tasks import KillByOperator, KillTasks, ReconcileTasks
from master.core.transactions import ObserveCluster, TransactLaunches
from master.core.updates import AcknowledgeUpdates, UpdateStatuses
from protocol.decision import Refused
from protocol.ids import AgentId, FrameworkId, TaskId, task_key
from protocol.messages.agent import RegisterAgent as Registration
from protocol.messages.framework import (
    Accept,
    Acknowledgement,
    AnswerInverse,
    Decline,
    KillTask,
    LaunchTask,
    Observe,
    Operation,
    Request,
    Revive,
    Subscribe,
    Subscribed,
    Suppress,
    Transact,
)
from protocol.messages.operator import Explain
from protocol.messages.values import TaskState, TaskStatus, Volume
from protocol.states import TERMINAL
from tests.scripts.duties import Duties
from tests.scripts.names import Names, tell
from tests.scripts.reserving import Reserving, mounts_of, reserving_part, static_of, stray_of
from tests.scripts.shares import Shares
from tests.scripts.show import show
from tests.scripts.words import (
    Options,
    describe,
    duration,
    parse_attributes,
    parse_filter,
    parse_placements,
    parse_want,
    resources_of,
)
from tests.unit.master.leader import Leader


@dataclass
class ScriptedAgent:
    """What a real agent would say when it registers."""

    options: Options
    link: int
    tasks: dict[tuple[str, str], TaskStatus] = field(default_factory=dict)
    volumes: tuple[Volume, ...] = ()


@dataclass
class ScriptedFramework:
    subscribe: Subscribe
    principal: str
    link: int


@dataclass
class Script(Duties, Reserving, Shares):
    """One cluster under one leader at a time."""

    leader: Leader = field(default_factory=Leader)
    names: Names = field(default_factory=Names)
    agents: dict[str, ScriptedAgent] = field(default_factory=dict)
    frameworks: dict[str, ScriptedFramework] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    links: int = 0
    line: str = ""

    @property
    def owners(self) -> dict[str, str]:
        return {offer.id: offer.framework_id for offer in self.leader.state.soft.offers.values()}

    def run(self, line: str) -> None:
        """Do what a line says; what the master says to it is added to `lines`."""
        verb, *words = line.split()
        plain = [word for word in words if "=" not in word]
        options = dict(word.split("=", 1) for word in words if "=" in word)
        self.line = line
        handler: Callable[[list[str], Options], None] = getattr(self, f"do_{verb}")
        handler(plain, options)

    def do_agent(self, words: list[str], options: Options) -> None:
        """agent NAME cpus=… mem=… [reserved=ROLE>cpus:…;mem:…,…]
        [principal=…] [host=…] [zone=…] [version=old] [attributes=rack:r1,…]
        """
        self.links += 1
        tasks = self.agents[words[0]].tasks if words[0] in self.agents else {}
        self.agents[words[0]] = ScriptedAgent(options, self.links, tasks)
        self._register(words[0])

    def do_framework(self, words: list[str], options: Options) -> None:
        """framework NAME role=…,… [id=…] [token=…] [principal=…] [failover=…] [filters=…|…]
        [inverse]
        """
        subscribe = Subscribe(
            framework_id=self.names.framework_id(options.get("id", "")),
            token=options.get("token", ""),
            name=words[0],
            roles=tuple(options["role"].split(",")) if options["role"] else (),
            failover_timeout_ns=duration(options.get("failover", "1h")),
            filters=tuple(map(parse_filter, filter(None, options.get("filters", "").split("|")))),
            takes_inverse="inverse" in words,
        )
        principal = options.get("principal", "p")
        self.frameworks[words[0]] = ScriptedFramework(subscribe, principal, 0)
        self._subscribe(words[0])

    def do_link(self, words: list[str], options: Options) -> None:
        """link NAME: an agent or a framework comes (back), as it is by now."""
        if words[0] in self.agents:
            self.links += 1
            self.agents[words[0]].link = self.links
            self._register(words[0])
        else:
            self._subscribe(words[0])

    def do_unlink(self, words: list[str], options: Options) -> None:
        """unlink NAME [link=N]: by default the newest link it has."""
        if words[0] in self.agents:
            link = int(options.get("link", self.agents[words[0]].link))
            self.submit(AgentUnlinked(AgentId(words[0]), link))
        else:
            link = int(options.get("link", self.frameworks[words[0]].link))
            self.submit(FrameworkUnlinked(self._framework_id(words[0]), link))

    def do_allocate(self, words: list[str], options: Options) -> None:
        """allocate: time for one allocation pass."""
        self._advance(self.leader.machine.settings.allocation_delay_ns)

    def do_advance(self, words: list[str], options: Options) -> None:
        """advance DURATION"""
        self._advance(duration(words[0]))

    def do_accept(self, words: list[str], options: Options) -> None:
        """accept OFFER,…|- PART / PART… [refuse=…] [as=…]; a part: TASK AMOUNTS [of=…]
        [with=VOLUME:PATH,…], kill TASK, reserve …, unreserve …, create …, resize …, destroy …
        """
        offers = tuple(map(self.names.offer_id, words[0].split(","))) if words[0] != "-" else ()
        operations: list[Operation] = []
        rest = self.line.split(maxsplit=2)[2:]
        for part in rest[0].split(" / ") if rest else ():
            names = [word for word in part.split() if "=" not in word]
            amounts = dict(word.split("=", 1) for word in part.split() if "=" in word)
            if names[:1] == ["kill"]:
                grace_ns = duration(amounts.get("grace", "0s"))
                operations.append(KillTask(names[1], grace_ns))
            elif operation := reserving_part(names, amounts):
                operations.append(operation)
            elif names:
                of = tuple(filter(None, amounts.pop("of", "").split(",")))
                mounts = mounts_of(amounts.pop("with", ""))
                task = replace(describe(names[0], amounts), volumes=mounts)
                operations.append(LaunchTask(task, of))
        refuse_ns = duration(options.get("refuse", "0s"))
        accept = Accept(1, offers, tuple(operations), refuse_ns)
        self.submit(AcceptOffers(self._owner(offers, options), accept))

    def do_decline(self, words: list[str], options: Options) -> None:
        """decline OFFER… [refuse=…] [as=…]"""
        offers = tuple(map(self.names.offer_id, words))
        refuse_ns = duration(options.get("refuse", "0s"))
        owner = self._owner(offers, options)
        self.submit(DeclineOffers(owner, Decline(1, offers, refuse_ns)))

    def do_request(self, words: list[str], options: Options) -> None:
        """request FRAMEWORK ROLE [COUNT AMOUNTS [where=…;…]] / …: what it wants there by now."""
        rest = self.line.split(maxsplit=3)[3:]
        wants = tuple(map(parse_want, rest[0].split(" / "))) if rest else ()
        call = Request(1, words[1], wants)
        self.submit(RequestResources(self._framework_id(words[0]), call))

    def do_observe(self, words: list[str], options: Options) -> None:
        """observe FRAMEWORK ROLE"""
        self.submit(ObserveCluster(self._framework_id(words[0]), Observe(1, words[1])))

    def do_transact(self, words: list[str], options: Options) -> None:
        """transact FRAMEWORK ROLE [all] AGENT[@VERSION] TASK AMOUNTS / …"""
        is_all = words[2] == "all"
        rest = self.line.split(maxsplit=4 if is_all else 3)[-1]
        call = Transact(1, words[1], parse_placements(rest), is_all)
        self.submit(TransactLaunches(self._framework_id(words[0]), call))

    def do_status(self, words: list[str], options: Options) -> None:
        """status AGENT [FRAMEWORK/]TASK STATE [sequence=…] [launch=…] [resize=…] [refused]"""
        agent = self.agents[words[0]]
        owner, _, task_id = words[1].rpartition("/")
        framework_id = self._framework_id(owner or next(iter(self.frameworks)))
        known = agent.tasks.get((framework_id, task_id), TaskStatus(framework_id, task_id))
        status = TaskStatus(
            framework_id=framework_id,
            task_id=task_id,
            agent_id=words[0],
            launch=int(options.get("launch", known.launch)),
            sequence=int(options.get("sequence", known.sequence + 1)),
            state=TaskState[words[2].upper()],
            resize=int(options.get("resize", known.resize)),
            resize_refused="refused" in words if "resize" in options else known.resize_refused,
        )
        agent.tasks[framework_id, task_id] = status
        self.submit(UpdateStatuses(AgentId(words[0]), (status,)))

    def do_forget(self, words: list[str], options: Options) -> None:
        """forget AGENT TASK: as if the agent had never heard of it, or lost its disk."""
        tasks = self.agents[words[0]].tasks
        for key in [key for key in tasks if key[1] == words[1]]:
            del tasks[key]

    def do_kill(self, words: list[str], options: Options) -> None:
        """kill FRAMEWORK TASK… [grace=…]"""
        grace_ns = duration(options.get("grace", "0s"))
        kills = tuple(KillTask(task_id, grace_ns) for task_id in words[1:])
        self.submit(KillTasks(self._framework_id(words[0]), kills))

    def do_resize(self, words: list[str], options: Options) -> None:
        """resize FRAMEWORK TASK AMOUNTS"""
        owner, task_id = self._framework_id(words[0]), TaskId(words[1])
        self.submit(ResizeTask(owner, task_id, resources_of(options)))

    def do_operator_kill(self, words: list[str], options: Options) -> None:
        """operator_kill FRAMEWORK TASK"""
        self.submit(KillByOperator(self._framework_id(words[0]), TaskId(words[1])))

    def do_ack(self, words: list[str], options: Options) -> None:
        """ack FRAMEWORK TASK SEQUENCE [launch=…]"""
        task = self.leader.state.tasks.get(task_key(self._framework_id(words[0]), words[1]))
        launch = int(options.get("launch", task.launch if task else 0))
        each = Acknowledgement(words[1], launch, int(words[2]))
        self.submit(AcknowledgeUpdates(self._framework_id(words[0]), (each,)))

    def do_reconcile(self, words: list[str], options: Options) -> None:
        """reconcile FRAMEWORK [TASK…]"""
        self.submit(ReconcileTasks(self._framework_id(words[0]), tuple(words[1:])))

    def do_suppress(self, words: list[str], options: Options) -> None:
        """suppress FRAMEWORK [ROLE…]"""
        self.submit(SuppressOffers(self._framework_id(words[0]), Suppress(1, tuple(words[1:]))))

    def do_revive(self, words: list[str], options: Options) -> None:
        """revive FRAMEWORK [ROLE…]"""
        self.submit(ReviveOffers(self._framework_id(words[0]), Revive(1, tuple(words[1:]))))

    def do_answer(self, words: list[str], options: Options) -> None:
        """answer FRAMEWORK accept|decline INVERSE… [refuse=…]"""
        refuse_ns = duration(options.get("refuse", "0s"))
        answer = AnswerInverse(1, tuple(words[2:]), words[1] == "accept", refuse_ns)
        self.submit(AnswerInverseOffers(self._framework_id(words[0]), answer))

    def do_teardown(self, words: list[str], options: Options) -> None:
        """teardown FRAMEWORK [by=…]"""
        self.submit(TeardownFramework(self._framework_id(words[0]), options.get("by", "")))

    def do_leave(self, words: list[str], options: Options) -> None:
        """leave FRAMEWORK"""
        self.submit(LeaveFramework(self._framework_id(words[0])))

    def do_crash(self, words: list[str], options: Options) -> None:
        """crash: another master, who has only the log, leads from now on."""
        self.leader.crash()

    def do_explain(self, words: list[str], options: Options) -> None:
        """explain FRAMEWORK|ROLE|FRAMEWORK/TASK"""
        owner, _, task_id = words[0].partition("/")
        framework_id = self._framework_id(owner)
        is_framework = framework_id in self.leader.state.frameworks
        asked = Explain(1, role=words[0])
        if is_framework:
            asked = Explain(1, framework_id, task_id=task_id)
        settings = self.leader.machine.settings
        for each in explain(settings, self.leader.state, asked, self.leader.now_ns):
            named = f" {each.count}: {', '.join(each.examples)}" if each.count else ""
            about = self.names.framework(each.about)
            self.lines.append(self.names.translate(f"{about} {each.reason} {each.text}{named}"))

    def do_show(self, words: list[str], options: Options) -> None:
        """show agents|frameworks|tasks|roles|quotas|offers|reservations|pending|totals"""
        self.lines += show(self.leader.state, self.names, words[0])

    def submit(self, command: Command) -> None:
        self._hear(self.leader.submit(command))

    def _advance(self, duration_ns: int) -> None:
        for outcome in self.leader.advance(duration_ns):
            self._hear(outcome)

    def _hear(self, outcome: Outcome) -> None:
        if not isinstance(outcome, Refused):
            for effect in outcome.effects:
                self._remember(effect)
        self.lines += tell(self.names, outcome)

    def _remember(self, effect: Effect) -> None:
        if isinstance(effect, SendLaunch):
            for each in effect.launches:
                key = (each.framework_id, each.description.task_id)
                status = TaskStatus(*key, launch=each.launch, state=TaskState.STAGING)
                self.agents[effect.agent_id].tasks.setdefault(key, status)
        elif isinstance(effect, SendAcknowledge):
            tasks = self.agents[effect.agent_id].tasks
            for ack in effect.acknowledgements:
                known = tasks.get((ack.framework_id, ack.task_id))
                if known and known.state in TERMINAL and known.sequence <= ack.sequence:
                    del tasks[ack.framework_id, ack.task_id]

    def _register(self, name: str) -> None:
        agent = self.agents[name]
        spec = dict(agent.options)
        principal = spec.pop("principal", "p")
        host = spec.pop("host", f"{name}.example")
        attributes = spec.pop("attributes", "")
        reserved = static_of(spec.pop("reserved", ""))
        zone = spec.pop("zone", "")
        if zone:
            attributes = f"zone:{zone}"
        if stray := spec.pop("keeps", ""):  # volume:number:role:size
            agent.volumes = stray_of(stray)
        version = spec.pop("version", "")
        register = Registration(
            agent_id=name,
            hostname=host,
            address=f"{host}:7001",
            resources=resources_of(spec),
            reserved=reserved,
            attributes=parse_attributes(attributes),
            volumes=agent.volumes,
            tasks=tuple(agent.tasks.values()),
            version=version,
            can_resize=version != "old",
        )
        self.submit(RegisterAgent(register, principal, agent.link))

    def _subscribe(self, name: str) -> None:
        framework = self.frameworks[name]
        self.links += 1
        framework.link = self.links
        outcome = self.leader.submit(
            SubscribeFramework(framework.subscribe, framework.principal, framework.link)
        )
        if not isinstance(outcome, Refused):
            assert isinstance(outcome.reply, Subscribed)
            framework_id = outcome.reply.framework_id
            self.names.frameworks.setdefault(framework_id, name)
            framework.subscribe = replace(framework.subscribe, framework_id=framework_id)
        self._hear(outcome)

    def _framework_id(self, name: str) -> FrameworkId:
        return FrameworkId(self.names.framework_id(name))

    def _owner(self, offers: tuple[str, ...], options: Options) -> FrameworkId:
        """Return who answers: the framework of the first offer, or the one named by `as`."""
        if "as" in options:
            return self._framework_id(options["as"])
        for offer_id in offers:
            if offer_id in self.owners:
                return FrameworkId(self.owners[offer_id])
        return self._framework_id(next(iter(self.frameworks)))


def run(lines: list[str], script: Script) -> list[str]:
    """Return what the master says to these lines."""
    script.lines = []
    for line in lines:
        command = line.partition("#")[0].strip()
        if command:
            script.run(command)
    return script.lines
