"""What schedulers keep in the log: spaces of keys and leases, each its owner's alone."""

from master.core.draft import Draft, Outcome
from master.core.settings import Settings
from master.core.state import State
from rlog.spaces import commands
from rlog.spaces.commands import ChangeSpace, SpaceEvent


def decide_change(state: State, command: ChangeSpace, now_ns: int, settings: Settings) -> Outcome:
    """Refuses: what `rlog.spaces` says, under the names of its reasons."""
    return commands.decide(state.spaces, command, now_ns, settings.spaces)


def ring_lease_ends(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    ended = commands.end_lease(state.spaces, key)
    draft.events.extend(ended)
    draft.touched.extend(commands.SpaceTouched(each.space) for each in ended)


def apply_event(state: State, event: SpaceEvent) -> None:
    commands.apply(state.spaces, event)
