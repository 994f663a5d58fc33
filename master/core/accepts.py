"""Accepts: the operations of one accept, folded one at a time over the offered resources."""

from collections.abc import Sequence

from master.core.draft import Draft, put
from master.core.events import KillRequested, TaskLaunched
from master.core.orders import await_kill, await_launch
from master.core.reasons import Reason
from master.core.records import Framework, Offer
from master.core.state import State
from master.core.tasks import check_kills, draft_kill, find_task
from master.core.validity import check_count, check_description, weigh_description
from protocol.decision import Refused
from protocol.ids import task_key
from protocol.messages.agent import Kill, Launch
from protocol.messages.framework import KillTask, LaunchTask, Operation
from protocol.messages.values import TaskReason
from protocol.resources import Resources, format_amount, sum_resources

BYTES_MAX = 640 << 10  # of an accept's descriptions, which go into one entry of the log


class Acceptance:
    """What is left of the offers, and the launches so far."""

    def __init__(
        self, draft: Draft, state: State, framework: Framework, offers: Sequence[Offer]
    ) -> None:
        self._draft = draft
        self._state = state
        self._framework = framework
        self._offers = offers
        self._launched: dict[str, TaskLaunched] = {}
        self._bytes = 0
        self.left: Resources = sum_resources(offer.resources for offer in offers)

    @property
    def launched(self) -> tuple[Resources, ...]:
        """What each task takes that is launched."""
        return tuple(event.description.resources for event in self._launched.values())

    def fold(self, operation: Operation) -> Refused | None:
        """Add one operation to the draft.

        Refuses: NO_OFFERS, DUPLICATE_TASK, OVER_CLAIMED, TOO_MANY, BAD_DURATION, and all that
        `check_description` does.
        """
        if isinstance(operation, LaunchTask):
            return self._launch(operation)
        return self._kill(operation)

    def _launch(self, operation: LaunchTask) -> Refused | None:
        description = operation.description
        refused = self._check_launch(operation)
        if refused:
            return refused
        offer = self._offers[0]
        self.left = self.left - description.resources
        event = TaskLaunched(
            launch=self._state.launches_next + len(self._launched),
            framework_id=self._framework.id,
            agent_id=offer.agent_id,
            role=offer.role,
            description=description,
        )
        self._launched[description.task_id] = event
        self._draft.events.append(event)
        user = description.user or self._framework.user
        order = Launch(event.launch, event.framework_id, event.role, description, user)
        put(self._draft.launches, offer.agent_id, order)
        await_launch(self._draft, task_key(self._framework.id, description.task_id))
        return None

    def _check_launch(self, operation: LaunchTask) -> Refused | None:
        description = operation.description
        task_id = description.task_id
        if not self._offers:
            text = f"task {task_id[:140]!r} is to be launched, but no offer is accepted"
            return Refused(Reason.NO_OFFERS, text)
        if refused := check_description(description, self._draft.settings):
            return refused
        if task_id in self._launched:
            return Refused(Reason.DUPLICATE_TASK, f"task {task_id} is launched twice")
        known = find_task(self._state, self._framework, task_id)
        if known is not None:
            text = f"task {task_id} exists already: {known.status.state.name}"
            return Refused(Reason.DUPLICATE_TASK, text)
        self._bytes += weigh_description(description)
        if refused := check_count("bytes of descriptions in one accept", self._bytes, BYTES_MAX):
            return refused
        if not self.left.contains(description.resources):
            return Refused(Reason.OVER_CLAIMED, self._lack(task_id, description.resources))
        return self._check_room()

    def _check_room(self) -> Refused | None:
        settings, launched = self._draft.settings, len(self._launched)
        for whose, count, count_max in (
            ("the framework", len(self._framework.tasks), settings.framework_tasks_max),
            ("the cluster", len(self._state.tasks), settings.tasks_max),
        ):
            if count + launched >= count_max:
                text = f"{whose} has {count + launched} tasks, at most {count_max} are allowed"
                return Refused(Reason.TOO_MANY, text)
        held = self._framework.description_bytes + self._bytes
        what = "bytes of descriptions of the framework's tasks"
        return check_count(what, held, settings.framework_bytes_max)

    def _lack(self, task_id: str, wanted: Resources) -> str:
        for name, amount in wanted.scalars.items():
            left = self.left.scalars.get(name, 0)
            if amount > left:
                return (
                    f"task {task_id} asks for {name} {format_amount(name, amount)}, "
                    f"{format_amount(name, left)} is left of the offers"
                )
        for name, spans in wanted.ranges.items():
            part = Resources(ranges={name: spans})
            if not self.left.contains(part):
                ranges = ",".join(f"{first}-{last}" for first, last in spans[:8])
                return f"task {task_id} asks for {name} {ranges} that the offers do not have"
        return f"task {task_id} asks for items that the offers do not have"

    def _kill(self, operation: KillTask) -> Refused | None:
        if refused := check_kills((operation,), self._draft.settings):
            return refused
        launched = self._launched.get(operation.task_id)
        if launched is None:
            draft_kill(self._draft, self._state, self._framework, operation)
            return None
        key = task_key(self._framework.id, operation.task_id)
        reason, grace_ns = TaskReason.KILLED_BY_FRAMEWORK, operation.grace_ns
        self._draft.events.append(
            KillRequested(self._framework.id, operation.task_id, grace_ns, reason)
        )
        grace_ns = grace_ns or launched.description.kill_grace_ns
        kill = Kill(self._framework.id, operation.task_id, launched.launch, grace_ns, reason)
        put(self._draft.kills, self._offers[0].agent_id, kill)
        await_kill(self._draft, key)
        return None
