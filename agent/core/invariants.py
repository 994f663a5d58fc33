"""Invariants: what holds in every state of an agent; checked by tests and the simulation."""

from agent.core import resizes
from agent.core.state import FORGOTTEN_MAX, TASKS_MAX, VOLUMES_MAX, State
from protocol.messages.values import TaskState, VolumeState

# Running, killing and one end, as a task only moves forward; and what became of resizes.
PENDING_MAX = 3 + resizes.PENDING_MAX


def check(state: State) -> None:
    """Assert that records, their indexes and their statuses agree."""
    assert len(state.tasks) <= TASKS_MAX
    assert len(state.forgotten) <= FORGOTTEN_MAX
    assert len(state.volumes) <= VOLUMES_MAX
    assert not state.tasks.keys() & state.forgotten.keys()
    for name, volume in state.volumes.items():
        assert volume.id == name
        assert volume.number not in state.dropped
        assert volume.state in (VolumeState.CREATING, VolumeState.READY)
    live, unacknowledged, dying = {}, set(), set()
    for launch, record in state.tasks.items():
        newest, pending = record.newest, record.pending
        assert launch == record.launch == newest.launch
        assert (newest.framework_id, newest.task_id) == (
            record.framework_id,
            record.description.task_id,
        )
        assert len(pending) <= PENDING_MAX
        first = newest.sequence - len(pending) + 1
        assert [status.sequence for status in pending] == list(range(first, newest.sequence + 1))
        assert (newest.sequence == 0) == (newest.state is TaskState.STAGING)
        if pending:
            assert pending[-1] == newest
            unacknowledged.add(launch)
        if record.is_ended:
            assert pending  # forgotten in the batch that acknowledges its end
        else:
            assert record.key not in live
            live[record.key] = launch
            if record.kill:
                dying.add(launch)
    assert live == state.live
    assert unacknowledged == state.unacknowledged.keys()
    assert dying == state.dying.keys()
    for launch in state.timed:
        record = state.tasks[launch]
        assert record.is_started
        assert not record.is_ended
        assert not record.kill
