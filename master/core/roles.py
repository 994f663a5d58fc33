"""Roles: their weights, and which frameworks want offers in them."""

from dataclasses import dataclass

from master.allocator.tree import WEIGHT_MILLI
from master.core.backoff import draft_lifted
from master.core.draft import Draft, Outcome
from master.core.events import RolesRevived, RolesSuppressed, WeightSet
from master.core.reasons import Reason
from master.core.records import Framework
from master.core.settings import Settings
from master.core.soft import RefusalsCleared
from master.core.state import State, find_framework, weight_of
from master.core.touched import AllTouched
from master.core.validity import check_count, check_role
from protocol.decision import Decision, Refused
from protocol.ids import FrameworkId
from protocol.messages.framework import Revive, Suppress

WEIGHT_MILLI_MAX = 1_000_000_000  # beyond a million to one nobody is fair to the others


@dataclass(frozen=True, slots=True)
class ReviveOffers:
    """Want offers again, also from refused agents."""

    framework_id: FrameworkId
    revive: Revive


@dataclass(frozen=True, slots=True)
class SuppressOffers:
    """Want no offers until revived."""

    framework_id: FrameworkId
    suppress: Suppress


@dataclass(frozen=True, slots=True)
class SetWeight:
    role: str
    weight_milli: int


def decide_revive(state: State, command: ReviveOffers, now_ns: int, settings: Settings) -> Outcome:
    """Forget the framework's refusals in these roles, or in all, and that it wanted nothing.

    Who declines and revives in turn stays backed off.

    Refuses: UNKNOWN_FRAMEWORK, FRAMEWORK_REMOVED, NOT_ITS_ROLE.
    """
    framework = find_framework(state, command.framework_id)
    if isinstance(framework, Refused):
        return framework
    roles = _roles_of(framework, command.revive.roles)
    if isinstance(roles, Refused):
        return roles
    draft = Draft(now_ns, settings)
    silent = tuple(role for role in roles if role in framework.suppressed)
    if silent:
        draft.events.append(RolesRevived(framework.id, silent))
    lifted = tuple(role for role in roles if not draft_lifted(draft, state, framework.id, role))
    if lifted:
        draft.soft.append(RefusalsCleared(framework.id, lifted))
        draft.soft.append(AllTouched(now_ns + settings.allocation_delay_ns))
    return draft.decision()


def decide_suppress(
    state: State, command: SuppressOffers, now_ns: int, settings: Settings
) -> Outcome:
    """Make no more offers in these roles, or in all; those that are open stay so.

    Refuses: UNKNOWN_FRAMEWORK, FRAMEWORK_REMOVED, NOT_ITS_ROLE.
    """
    framework = find_framework(state, command.framework_id)
    if isinstance(framework, Refused):
        return framework
    roles = _roles_of(framework, command.suppress.roles)
    if isinstance(roles, Refused):
        return roles
    loud = tuple(role for role in roles if role not in framework.suppressed)
    return Decision(events=(RolesSuppressed(framework.id, loud),) if loud else ())


def decide_weight(state: State, command: SetWeight, now_ns: int, settings: Settings) -> Outcome:
    """Entitle a role to more or less than the others from the next pass on.

    Refuses: BAD_ROLE, BAD_WEIGHT, TOO_MANY.
    """
    role, weight_milli = command.role, command.weight_milli
    if refused := check_role(role):
        return refused
    if not 0 < weight_milli <= WEIGHT_MILLI_MAX:
        text = (
            f"weight of {role} is {weight_milli} thousandths, 1 to {WEIGHT_MILLI_MAX} are allowed"
        )
        return Refused(Reason.BAD_WEIGHT, text)
    if weight_milli == weight_of(state, role):
        return Decision()
    if role not in state.weights and (
        refused := check_count("weights", len(state.weights) + 1, settings.roles_max)
    ):
        return refused
    return Decision(events=(WeightSet(role, weight_milli),))


def apply_roles_revived(state: State, event: RolesRevived) -> None:
    framework = state.frameworks[FrameworkId(event.framework_id)]
    framework.suppressed = tuple(role for role in framework.suppressed if role not in event.roles)
    state.soft.ledger = None


def apply_roles_suppressed(state: State, event: RolesSuppressed) -> None:
    framework = state.frameworks[FrameworkId(event.framework_id)]
    framework.suppressed = tuple(dict.fromkeys((*framework.suppressed, *event.roles)))
    state.soft.ledger = None


def apply_weight_set(state: State, event: WeightSet) -> None:
    state.soft.ledger = None
    if event.weight_milli == WEIGHT_MILLI:
        del state.weights[event.role]
    else:
        state.weights[event.role] = event.weight_milli


def _roles_of(framework: Framework, roles: tuple[str, ...]) -> tuple[str, ...] | Refused:
    """Return the roles that a call speaks of: none named are all."""
    for role in roles:
        if role not in framework.roles:
            text = f"framework {framework.id} is not in role {role[:140]!r}"
            return Refused(Reason.NOT_ITS_ROLE, text)
    return tuple(dict.fromkeys(roles)) or framework.roles
