"""Back-off: who gives back, or lets go, all that it is offered, is offered less often."""

from collections.abc import Iterable

from master.core.alarms import AlarmKind
from master.core.draft import Draft
from master.core.records import BackOff, Offer
from master.core.settings import SECOND_NS
from master.core.standing import BackOffCleared, BackOffSet, back_off_of
from master.core.state import State
from master.core.touched import AllIdleTouched
from protocol.ids import FrameworkId

ROUNDS_FREE = 3  # wasted in a row before the first pause: looking around is no abuse
PAUSE_NS_MAX = 32 * SECOND_NS


def pause_ns(rounds: int) -> int:
    """Return how long nothing is offered after so many wasted rounds: it doubles each time."""
    beyond = rounds - ROUNDS_FREE
    return min(SECOND_NS << min(beyond - 1, 8), PAUSE_NS_MAX) if beyond > 0 else 0


def draft_wasted(draft: Draft, state: State, offers: Iterable[Offer]) -> None:
    """Count offers of which nothing was used.

    All that were made before the last count are of one round with it: who is offered a thousand
    agents at once may give them back one by one.
    """
    newest: dict[tuple[FrameworkId, str], int] = {}
    for offer in offers:
        key = offer.framework_id, offer.role
        newest[key] = max(newest.get(key, 0), offer.made_ns)
    for (framework_id, role), made_ns in newest.items():
        before = back_off_of(state, framework_id, role) or BackOff()
        if made_ns < before.counted_ns or framework_id not in state.soft.framework_links:
            continue
        rounds = before.rounds + 1
        after_ns = pause_ns(rounds)
        draft.soft.append(
            BackOffSet(
                framework_id,
                role,
                BackOff(
                    rounds=rounds,
                    counted_ns=draft.now_ns,
                    until_ns=draft.now_ns + after_ns,
                    revived_ns=before.revived_ns,
                    is_paused=after_ns > 0,
                ),
            )
        )
        if after_ns:
            draft.alarm(AlarmKind.BACK_OFF_ENDS, (framework_id, role), after_ns)


def draft_used(draft: Draft, state: State, framework_id: FrameworkId, role: str) -> None:
    """Something of an offer was used: begin to count anew."""
    if back_off_of(state, framework_id, role) is not None:
        draft.soft.append(BackOffCleared(framework_id, role))


def draft_lifted(draft: Draft, state: State, framework_id: FrameworkId, role: str) -> bool:
    """End a pause because the framework wants offers again; return whether it goes on instead.

    That is so when its last revive is not as long ago as the pause would be: else it could revive
    and decline in turn for ever.
    """
    before = back_off_of(state, framework_id, role)
    if before is None or not before.is_paused:
        return False
    if draft.now_ns - before.revived_ns < pause_ns(before.rounds):
        return True
    lifted = BackOff(before.rounds, before.counted_ns, draft.now_ns, draft.now_ns)
    draft.soft.append(BackOffSet(framework_id, role, lifted))
    return False


def ring_back_off_ends(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    """Let the framework have its turn again."""
    framework_id, role = FrameworkId(key[0]), key[1]
    before = back_off_of(state, framework_id, role)
    if before is not None and before.is_paused and before.until_ns <= draft.now_ns:
        over = BackOff(before.rounds, before.counted_ns, before.until_ns, before.revived_ns)
        draft.soft.append(BackOffSet(framework_id, role, over))
        draft.soft.append(AllIdleTouched(draft.now_ns + draft.settings.allocation_delay_ns))
