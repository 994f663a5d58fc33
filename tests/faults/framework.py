"""A scheduler as a process of its own: launches what its arguments say, until it is killed.

Arguments: masters, credentials file, token, failover timeout in seconds, then task=script pairs.
"""

import asyncio
import sys
from collections.abc import Sequence

from protocol.credentials import load_credentials
from protocol.messages.values import TaskStatus
from schedulers import Driver, Framework
from tests.faults.crowd import Crowd


class Teller(Crowd):
    """Prints what it hears, a line each."""

    def subscribed(self, driver: Driver, tasks: Sequence[TaskStatus]) -> None:
        print("subscribed", driver.framework_id, flush=True)

    def updated(self, driver: Driver, status: TaskStatus) -> None:
        print("updated", status.task_id, status.state.name, status.pid, flush=True)


async def main() -> None:
    """Run until killed."""
    masters, credentials, token, failover_s, *tasks = sys.argv[1:]
    framework = Framework(
        "victim",
        masters=masters,
        credentials=load_credentials(credentials),
        token=token,
        failover_timeout_s=float(failover_s),
    )
    teller = Teller()
    teller.waiting = dict(task.split("=", 1) for task in tasks)
    await Driver(framework, teller).run()


if __name__ == "__main__":
    asyncio.run(main())
