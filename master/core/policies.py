"""Policies: how an operator has a role, and all below it, be offered anything."""

from collections.abc import Mapping
from dataclasses import dataclass

from master.allocator.tree import lineage
from master.core.draft import Draft, Outcome
from master.core.events import PolicySet
from master.core.reasons import Reason
from master.core.records import Policy
from master.core.settings import Settings
from master.core.state import State
from master.core.touched import AllIdleTouched
from master.core.validity import check_count, check_role
from protocol.decision import Decision, Refused
from protocol.quantities import amounts_of, check_quantities, listed_quantities

SHARERS_MAX = 16  # each further one makes it likelier that all but one work in vain


@dataclass(frozen=True, slots=True)
class SetPolicy:
    """Offer nothing smaller than `least` in a role, and the same to so many frameworks at once.

    Nothing of both: as in the role above."""

    role: str
    least: Mapping[str, int]
    sharers: int = 1
    is_open: bool = False
    reclaims: bool = False


def decide_policy(state: State, command: SetPolicy, now_ns: int, settings: Settings) -> Outcome:
    """Set it from the next offers on; those that are open stay so.

    Refuses: BAD_ROLE, BAD_RESOURCES, BAD_POLICY, TOO_MANY.
    """
    role = command.role
    if refused := check_role(role):
        return refused
    if fault := check_quantities(command.least):
        return Refused(Reason.BAD_RESOURCES, f"least amounts of {role}: {fault}")
    if not 1 <= command.sharers <= SHARERS_MAX:
        text = f"{command.sharers} sharers of an offer in {role}, 1 to {SHARERS_MAX} are allowed"
        return Refused(Reason.BAD_POLICY, text)
    policy = Policy(dict(command.least), command.sharers, command.is_open, command.reclaims)
    if policy == state.policies.get(role, Policy()):
        return Decision()
    if role not in state.policies and (
        refused := check_count("policies", len(state.policies) + 1, settings.roles_max)
    ):
        return refused
    draft = Draft(now_ns, settings)
    draft.events.append(
        PolicySet(
            role=role,
            least=listed_quantities(command.least),
            sharers=command.sharers,
            is_open=command.is_open,
            reclaims=command.reclaims,
        )
    )
    draft.soft.append(AllIdleTouched(now_ns + settings.allocation_delay_ns))
    return draft.decision()


def apply_policy_set(state: State, event: PolicySet) -> None:
    policy = Policy(amounts_of(event.least), max(1, event.sharers), event.is_open, event.reclaims)
    state.soft.ledger = None
    if policy == Policy():
        state.policies.pop(event.role, None)
    else:
        state.policies[event.role] = policy


def policy_of(state: State, role: str) -> Policy:
    """Return what holds for a role: its own policy, or that of the nearest role above it."""
    if not state.policies:
        return NONE
    found = [state.policies[branch] for branch in lineage(role) if branch in state.policies]
    return found[-1] if found else NONE


NONE = Policy()
