"""Descriptors: the soft limit of a shell does not bind a daemon."""

import resource

from protocol.descriptors import NEEDED, raise_descriptor_limit


def test_descriptor_limit_is_raised_and_never_lowered() -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = NEEDED if limits[1] == resource.RLIM_INFINITY else min(NEEDED, limits[1])
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
        raise_descriptor_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (enough, limits[1])
        resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
        raise_descriptor_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (limits[1], limits[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
