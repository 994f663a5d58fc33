"""Quotas: what roles are promised, and the most that they may have."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from master.allocator.rations import Quota, Rations, guaranteed
from master.allocator.tree import lineage
from master.core.draft import Draft, Outcome
from master.core.events import QuotaSet
from master.core.offers import close_offers
from master.core.reasons import Reason
from master.core.records import Offer
from master.core.rivals import group_of
from master.core.settings import Settings
from master.core.state import State, charged_by_role
from master.core.touched import AllTouched
from master.core.validity import check_count, check_role
from protocol.decision import Decision, Refused
from protocol.quantities import (
    amounts_of,
    check_quantities,
    format_quantities,
    listed_quantities,
)


@dataclass(frozen=True, slots=True)
class SetQuota:
    """Promise a role and all below it so much, and bound them; nothing of both: no quota.

    `is_forced` lets it promise more than there is, and bound a role below what it has.
    """

    role: str
    guarantee: Mapping[str, int]
    limit: Mapping[str, int]
    is_forced: bool = False


def decide_quota(state: State, command: SetQuota, now_ns: int, settings: Settings) -> Outcome:
    """Set it, and take back open offers that it forbids, or that lend what it promises.

    Refuses: BAD_ROLE, BAD_RESOURCES, TOO_MANY; QUOTA_BROKEN for what contradicts itself or the
    quotas above and below; unless forced QUOTA_OVERCOMMITS and QUOTA_EXCEEDED.
    """
    role = command.role
    if refused := check_role(role) or _check_amounts(command):
        return refused
    quota = Quota(dict(command.guarantee), dict(command.limit))
    if quota == state.quotas.get(role, Quota()):
        return Decision()
    after = {name: each for name, each in state.quotas.items() if name != role}
    if quota != Quota():
        after[role] = quota
    refused = (
        check_count("quotas", len(after), settings.roles_max)
        or _check_tree(role, after)
        or (None if command.is_forced else _check_cluster(state, role, after))
    )
    if refused:
        return refused
    draft = Draft(now_ns, settings)
    draft.events.append(
        QuotaSet(role, listed_quantities(command.guarantee), listed_quantities(command.limit))
    )
    close_offers(draft, state, _in_the_way(state, role, after), is_told=True)
    draft.soft.append(AllTouched(now_ns + settings.allocation_delay_ns))
    return draft.decision()


def apply_quota_set(state: State, event: QuotaSet) -> None:
    state.soft.ledger = None
    quota = Quota(amounts_of(event.guarantee), amounts_of(event.limit))
    if quota == Quota():
        state.quotas.pop(event.role, None)
    else:
        state.quotas[event.role] = quota


def _check_amounts(command: SetQuota) -> Refused | None:
    for what, amounts in (("guarantee", command.guarantee), ("limit", command.limit)):
        if fault := check_quantities(amounts):
            return Refused(Reason.BAD_RESOURCES, f"{what} of {command.role}: {fault}")
    for name, amount in command.guarantee.items():
        limit = command.limit.get(name, amount)
        if amount > limit:
            text = (
                f"the guarantee of {command.role}, {format_quantities({name: amount})}, "
                f"is above its limit, {format_quantities({name: limit})}"
            )
            return Refused(Reason.QUOTA_BROKEN, text)
    return None


def _check_tree(role: str, quotas: Mapping[str, Quota]) -> Refused | None:
    """No branch may be promised more than is promised, or allowed, above it."""
    for branch in lineage(role):
        quota = quotas.get(branch)
        if quota is None:
            continue
        below = guaranteed(quotas, branch)
        for name, amount in below.items():
            for what, bound in (("guarantee", quota.guarantee), ("limit", quota.limit)):
                if name in bound and amount > bound[name]:
                    text = (
                        f"the roles below {branch} are guaranteed "
                        f"{format_quantities({name: amount})} together, above the {what} of "
                        f"{branch}, {format_quantities({name: bound[name]})}"
                    )
                    return Refused(Reason.QUOTA_BROKEN, text)
    return None


def _check_cluster(state: State, role: str, quotas: Mapping[str, Quota]) -> Refused | None:
    """Refuse to promise more than there is, and a limit that is exceeded already."""
    for name, amount in guaranteed(quotas).items():
        whole = state.capacity.get(name, 0)
        promised = quotas[role].guarantee.get(name, 0) if role in quotas else 0
        if promised and amount > whole:
            text = (
                f"all guarantees together would be {format_quantities({name: amount})}, but the "
                f"cluster has {format_quantities({name: whole})}; add agents, or force it"
            )
            return Refused(Reason.QUOTA_OVERCOMMITS, text)
    if role in quotas:
        rations = Rations(
            {role: quotas[role]}, charged_by_role(state, is_offered=False), state.capacity
        )
        held = rations.held(role)
        for name, limit in quotas[role].limit.items():
            if held.get(name, 0) > limit:
                text = (
                    f"tasks in {role} use {format_quantities({name: held[name]})}, with what is "
                    f"reserved, more than the limit of {format_quantities({name: limit})}; force "
                    "it to let them end first"
                )
                return Refused(Reason.QUOTA_EXCEEDED, text)
    return None


def _in_the_way(state: State, role: str, quotas: Mapping[str, Quota]) -> Iterable[str]:
    """Return the open offers that break a limit of the role, or lend out what it is owed."""
    rations = Rations(quotas, charged_by_role(state), state.capacity)
    closed: list[Offer] = []
    offers = [each for each in state.soft.offers.values() if not each.rival_of]
    for offer in offers:
        if role in lineage(offer.role) and rations.is_over(role):
            closed.append(offer)
            rations.take_back(offer.role, offer.unreserved.quantities)
    for offer in offers:
        if role not in lineage(offer.role) and rations.is_short_of(offer.unreserved.quantities):
            closed.append(offer)
            rations.take_back(offer.role, offer.unreserved.quantities)
    return [each.id for offer in closed for each in group_of(state, offer)]
