"""Daemons and tools of other versions of this program, made of the one that there is.

`python -m tests.faults.other_version VERSION MODULE ARGUMENT…`. To version 1 quotas are unknown:
its codec has no reader for them. In version 2 they are new: entries with a quota need it.
"""

import runpy
import sys

from master import codec
from master.core import versions
from master.core.events import QuotaSet


def be(version: int) -> None:
    """Let this process be one of that version."""
    versions.VERSION = version
    if version == 1:
        del codec._EVENT_READERS["quotaSet"]
    else:
        versions.SINCE[QuotaSet] = lambda event: 2


if __name__ == "__main__":
    be(int(sys.argv[1]))
    module = sys.argv[2]
    sys.argv[1:] = sys.argv[3:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
