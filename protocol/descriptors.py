"""How many descriptors a daemon may hold: a soft limit made for small programs must not bind it."""

import resource

import structlog

NEEDED = 16_384  # what bounds of connections and containers are made for

log = structlog.get_logger()


def raise_descriptor_limit() -> None:
    """Raise the soft limit as far as it goes and is needed; say so when that is not far."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = NEEDED if hard == resource.RLIM_INFINITY else min(NEEDED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted < NEEDED:
        log.warning("few descriptors are allowed; raise the hard limit", nofile=wanted)
