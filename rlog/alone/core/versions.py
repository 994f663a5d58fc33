"""The version of what a log by itself holds, and which of its events are not of the first.

An event or a field of one that comes after a release is of the next version: raise `VERSION` and
say in `SINCE` which version such an event needs. It is written only when all members know it.
"""

from collections.abc import Callable
from typing import Any

VERSION = 1
SINCE: dict[type, Callable[[Any], int]] = {}
