"""Members on their way out: sent the log until they know that they belong no more."""

from dataclasses import dataclass

PATIENCE = 10  # election timeouts; who hears nothing within them is told when it asks for votes


@dataclass(frozen=True, slots=True)
class Departure:
    """One member that was removed."""

    index: int  # of the configuration without it
    until_s: float

    def is_over(self, match: int, now_s: float) -> bool:
        """Whether the member holds that entry, or has been waited for long enough."""
        return match >= self.index or now_s >= self.until_s
