"""The collector of garbage kept from big states: one look through millions of objects is a stall.

What a state is made of goes when the last reference to it does. The collector is needed for what
refers to itself, such as a link and its handler, and there is little of that among old objects.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

BIG_BYTES = 1 << 20  # of a written state: what is made of less is looked through in a millisecond
THAW_EVERY = 64  # times that everything was set aside: bounds what of it may have become garbage


class Freezer:
    """Sets aside all objects there are, for the collector to look at the newer ones alone."""

    def __init__(self) -> None:
        self._times = 0

    def freeze(self) -> None:
        """Set aside what there is; rarely, have all of it looked at again first."""
        self._times += 1
        if self._times % THAW_EVERY == 0:
            gc.unfreeze()
            gc.collect()
        gc.freeze()


@contextmanager
def uncollected(size: int) -> Iterator[None]:
    """Make a state of so many bytes within, or collections look through it again as it grows."""
    if size < BIG_BYTES:
        yield
        return
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
