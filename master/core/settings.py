"""What may be tuned of the master's decisions, and how much of each thing it takes on."""

from dataclasses import dataclass, field

from rlog.spaces.records import SpaceLimits

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS


@dataclass(frozen=True, slots=True)
class Settings:
    """Durations and bounds; they may differ between leaders, so `apply` never sees them."""

    agent_timeout_ns: int = 10 * SECOND_NS  # without link, until it counts as unreachable
    removal_interval_ns: int = SECOND_NS  # between agents that are given up, in the long run
    removals_burst: int = 20  # of those, at once
    absent_milli_max: int = 330  # thousandths of a zone's agents; beyond it none is given up
    absent_min: int = 3  # agents of a zone; so few may always be
    absence_window_ns: int = 600 * SECOND_NS  # in which agents that went count as going together
    zone_attribute: str = "zone"  # of agents, names where they are
    agent_removal_ns: int = 7 * DAY_NS  # unreachable, until it is forgotten and its tasks are gone
    framework_grace_ns: int = 60 * SECOND_NS  # to come back to a new leader, at the least
    offer_timeout_ns: int = 60 * SECOND_NS
    offer_yield_ns: int = 2 * SECOND_NS  # of who never said what it wants, when others did and wait
    reclaim_delay_ns: int = 2 * SECOND_NS  # from a request to the first task that is asked back
    reclaim_look_ns: int = SECOND_NS  # from one task that is asked back to the next
    reclaim_grace_ns: int = 10 * SECOND_NS  # for its framework to end it in its own way
    refuse_default_ns: int = 5 * SECOND_NS
    refuse_max_ns: int = 365 * DAY_NS
    failover_max_ns: int = 10 * 365 * DAY_NS
    grace_max_ns: int = DAY_NS  # a kill that takes longer is no kill
    allocation_delay_ns: int = SECOND_NS // 200  # gathers a batch of changes into one pass
    launch_resend_ns: int = 5 * SECOND_NS
    kill_resend_ns: int = 5 * SECOND_NS
    update_resend_ns: int = 10 * SECOND_NS
    volume_resend_ns: int = 5 * SECOND_NS
    tick_alarms_max: int = 512  # keeps a tick's turn of the loop short
    tick_events_max: int = 256  # and its entry in the log small; one agent's tasks go together
    pass_agents_max: int = 1000  # looked at in one allocation pass, about 30 ms
    sorter: str = "drf"  # or "random": by weight and chance alone
    fairness_excludes: frozenset[str] = frozenset()  # resources that count for no share
    scarce_resources: frozenset[str] = frozenset()  # agents with one are for who asks for it
    pass_withheld_max: int = 64  # kept back by quotas: as long as some are granted, more are
    request_agents_max: int = 2000  # idle ones, looked at as a request is decided, about 1 ms
    request_offers_max: int = 64  # made in answer to one, the others by the next passes
    cpus_min: int = 10  # thousandths; less cannot run anything, so it is not offered
    memory_bytes_min: int = 32 << 20
    agents_max: int = 50_000
    agent_reservations_max: int = 100  # of one agent; each offer of it may name them all
    bookings_max: int = 1000
    look_agents_max: int = 200  # looked at in one turn, for what is booked of them
    agent_volumes_max: int = 100
    framework_operations_max: int = 1000  # pending, or not acknowledged
    ttl_max_ns: int = 10 * 365 * DAY_NS  # of a reservation
    frameworks_max: int = 10_000
    roles_max: int = 10_000  # with a weight of their own
    tasks_max: int = 500_000
    framework_tasks_max: int = 100_000
    framework_bytes_max: int = 128 << 20  # of its tasks' descriptions: over 1 KiB for each
    spaces: SpaceLimits = field(default_factory=SpaceLimits)
