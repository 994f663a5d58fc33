"""Which task updates were seen, and which are still to be acknowledged."""

from collections import OrderedDict
from collections.abc import Iterator

from protocol.messages.framework import Acknowledge, Acknowledgement
from protocol.messages.values import TaskStatus

SEEN_MAX = 100_000  # tasks whose newest update is remembered
ACKNOWLEDGEMENTS_MAX = 1000  # in one message


class UpdateLedger:
    """Tells repeated updates from new ones: masters repeat each until it is acknowledged."""

    def __init__(self) -> None:
        self._newest: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._waiting: list[Acknowledgement] = []

    def is_news(self, status: TaskStatus) -> bool:
        """Whether the status was not seen; one outside the stream always counts as news."""
        stamp = (status.launch, status.sequence)
        return not status.sequence or stamp > self._newest.get(status.task_id, (0, 0))

    def note(self, status: TaskStatus) -> bool:
        """Take a handled status down for acknowledgement; whether it is the first that waits."""
        stamp = (status.launch, status.sequence)
        if stamp > self._newest.get(status.task_id, (0, 0)):
            self._newest[status.task_id] = stamp
            self._newest.move_to_end(status.task_id)
            if len(self._newest) > SEEN_MAX:
                self._newest.popitem(last=False)
        self._waiting.append(Acknowledgement(status.task_id, *stamp))
        return len(self._waiting) == 1

    def take(self) -> Iterator[Acknowledge]:
        """Yield what is to be acknowledged, once."""
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), ACKNOWLEDGEMENTS_MAX):
            yield Acknowledge(tuple(waiting[start : start + ACKNOWLEDGEMENTS_MAX]))
