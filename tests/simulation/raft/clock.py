"""A member's own clock: it never goes back, but runs fast or slow, stands still and leaps."""

from tests.simulation.raft.agenda import Agenda


class Clock:
    """What one member believes of the time that passes; it outlives the member's process."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._shown_s = 0.0
        self._since_s = 0.0  # when it showed that
        self._pace = 1.0
        self._stands_until_s = 0.0

    def read(self) -> float:
        """Return what it shows."""
        passed_s = self._agenda.now_s - max(self._since_s, self._stands_until_s)
        return self._shown_s + max(0.0, passed_s) * self._pace

    def run(self, pace: float) -> None:
        """Run at another pace from now on."""
        self._settle()
        self._pace = pace

    def leap(self, by_s: float) -> None:
        """Go forward at once, as after a machine was suspended."""
        self._settle()
        self._shown_s += by_s

    def stand(self, for_s: float) -> None:
        """Show the same for a while."""
        self._settle()
        self._stands_until_s = self._agenda.now_s + for_s

    def _settle(self) -> None:
        self._shown_s, self._since_s = self.read(), self._agenda.now_s
