"""Telling: how a status becomes news of a task, and who hears of it."""

from dataclasses import dataclass, replace

from master.core.alarms import AlarmKind
from master.core.draft import Draft, put
from master.core.events import ResizeSettled, TaskUpdated
from master.core.orders import acknowledgement_of, await_acknowledgement
from master.core.records import Task
from master.core.state import State
from master.core.validity import weigh_text
from protocol.ids import AgentId, TaskKey, task_key
from protocol.messages.agent import Kill
from protocol.messages.values import TaskReason, TaskState, TaskStatus
from protocol.states import TERMINAL

# An agent may report what is not below its last report; the other states are the master's to say.
RANKS = {
    TaskState.STAGING: 0,
    TaskState.STARTING: 1,
    TaskState.RUNNING: 2,
    TaskState.KILLING: 3,
    TaskState.FINISHED: 4,
    TaskState.FAILED: 4,
    TaskState.KILLED: 4,
    TaskState.ERROR: 4,
    TaskState.LOST: 4,
    TaskState.DROPPED: 4,
}
MESSAGE_CHARACTERS_MAX = 1024  # kept in the log and sixteen times in a task's pending updates
TOLD_BYTES_MAX = 256 << 10  # of news in one decision, as all of it goes into one entry of the log


@dataclass(slots=True)
class Progress:
    """How far a task is, the events of the decision in the making included."""

    state: TaskState
    reported: TaskState
    agent_sequence: int
    updates_made: int


class Telling:
    """Folds statuses into a draft, those of one task in the order in which they come."""

    def __init__(self, draft: Draft, state: State) -> None:
        self._draft = draft
        self._state = state
        self._progress: dict[TaskKey, Progress] = {}
        self._told_bytes = 0
        self._settled: dict[TaskKey, None] = {}

    @property
    def is_full(self) -> bool:
        """Whether the decision holds as much news as one entry of the log should."""
        return self._told_bytes > TOLD_BYTES_MAX

    def progress_of(self, task: Task) -> Progress:
        """Return how far the task is by now."""
        progress = self._progress.get(task.key)
        if progress is None:
            progress = Progress(
                task.status.state, task.reported, task.agent_sequence, task.updates_made
            )
            self._progress[task.key] = progress
        return progress

    def hear(self, agent_id: AgentId, status: TaskStatus) -> None:
        """Take what an agent says: acknowledge it, and tell it when it is news.

        A task that we do not know there is killed; it is acknowledged only when it has ended, so
        that the agent goes on repeating its status, and we the kill, until then. What is too much
        for one decision is not heard at all: it is repeated too.
        """
        if self.is_full:
            return
        task = self._state.tasks.get(task_key(status.framework_id, status.task_id))
        if (
            task is None
            or task.launch != status.launch
            or task.agent_id != agent_id
            or self.progress_of(task).state in TERMINAL
        ):
            if status.state in TERMINAL:
                self._acknowledge(agent_id, status)
            else:
                put(self._draft.kills, agent_id, _stray_kill(status))
            return
        self._acknowledge(agent_id, status)
        self._settle(task, status)
        progress = self.progress_of(task)
        rank = RANKS.get(status.state, 0)
        is_news = status.sequence > progress.agent_sequence
        if is_news and rank > 0 and rank >= RANKS[progress.reported]:
            progress.agent_sequence = status.sequence
            progress.reported = status.state
            message = status.message[:MESSAGE_CHARACTERS_MAX]
            if status.agent_id != agent_id or status.message != message:
                status = replace(status, agent_id=agent_id, message=message)
            self._tell(task, status, True)

    def assume(self, task: Task, state: TaskState, reason: TaskReason, message: str) -> None:
        """Tell what the master itself concludes about a task."""
        status = replace(
            task.status,
            state=state,
            reason=reason,
            message=message,
            sequence=0,
            stamp_ns=self._draft.now_ns,
        )
        self._tell(task, status, False)

    def is_settled(self, task: Task) -> bool:
        """Whether this decision says what became of the task's resize."""
        return task.key in self._settled

    def _settle(self, task: Task, status: TaskStatus) -> None:
        """Note what became of a resize, which later statuses say as well; an end says it all."""
        order = task.resize
        if order is None or status.resize != order.number or status.state in TERMINAL:
            return
        if task.key not in self._settled:
            self._settled[task.key] = None
            self._draft.events.append(
                ResizeSettled(
                    task.framework_id, task.task_id, order.number, not status.resize_refused
                )
            )
            self._draft.touch(task.agent_id)

    def _tell(self, task: Task, status: TaskStatus, is_from_agent: bool) -> None:
        progress = self.progress_of(task)
        assert progress.state not in TERMINAL
        progress.state = status.state
        progress.updates_made += 1
        self._told_bytes += weigh_status(status)
        self._draft.events.append(TaskUpdated(status, is_from_agent))
        if task.framework_id in self._state.soft.framework_links:
            numbered = number_status(status, progress.updates_made)
            put(self._draft.updates, task.framework_id, numbered)
            await_acknowledgement(self._draft, task.key)
        if status.state in TERMINAL:
            self._draft.touch(task.agent_id)
            if self._state.agents[task.agent_id].drain:
                self._draft.alarm(AlarmKind.AGENT_DRAIN, (task.agent_id,), 0)
            if task.draws:
                self._let_go(task)
            if self._state.frameworks[task.framework_id].has_left:
                self._draft.alarm(AlarmKind.FRAMEWORK_IDLE, (task.framework_id,), 0)

    def _let_go(self, task: Task) -> None:
        """See to the reservations that wait for the task's end to end, too."""
        for draw in task.draws:
            agent = self._state.agents[task.agent_id]
            if agent.reservations[draw.reservation].is_ending:
                key = (agent.id, draw.reservation)
                self._draft.alarm(AlarmKind.RESERVATION_ENDS, key, 0)

    def _acknowledge(self, agent_id: AgentId, status: TaskStatus) -> None:
        if status.sequence > 0:
            put(self._draft.acknowledgements, agent_id, acknowledgement_of(status))


def weigh_status(status: TaskStatus) -> int:
    """Return about how many bytes it takes in the log, rather more than fewer."""
    texts = (status.framework_id, status.task_id, status.agent_id, status.message)
    return 128 + sum(map(weigh_text, texts))


def number_status(status: TaskStatus, sequence: int) -> TaskStatus:
    """Return the status under its number for the framework, mostly the one that it has."""
    return status if status.sequence == sequence else replace(status, sequence=sequence)


def _stray_kill(status: TaskStatus) -> Kill:
    return Kill(status.framework_id, status.task_id, status.launch)
