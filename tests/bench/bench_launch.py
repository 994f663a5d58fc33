"""How long a launch takes with all isolation there is; arguments: count, gap in ms."""

import asyncio
import os
import sys
import time

from tests.bench.places import bench_directory
from tests.containers import Containers

THROUGHPUT_COUNT = 200
IN_FLIGHT = 16


def describe(name: str, samples_s: list[float]) -> str:
    """Return one line of the table."""
    ordered = sorted(samples_s)
    at = [ordered[int(len(ordered) * share)] * 1e3 for share in (0.1, 0.5, 0.9)]
    return f"{name:<22}{at[0]:9.2f}{at[1]:9.2f}{at[2]:9.2f}"


async def measure(count: int, gap_s: float) -> None:
    """Print the table."""
    with bench_directory() as work_dir:
        async with Containers(str(work_dir)) as containers:
            print(", ".join(containers.containerizer.isolation))
            started, ended = [], []
            for number in range(count):
                await asyncio.sleep(gap_s)
                begin = time.perf_counter()
                await containers.launch(f"spaced-{number}", "/bin/true")
                started.append(time.perf_counter() - begin)
                await containers.end_of(f"spaced-{number}")
                ended.append(time.perf_counter() - begin)
                await containers.containerizer.destroy(f"spaced-{number}")
            print(f"{'ms':<22}{'p10':>9}{'p50':>9}{'p90':>9}")
            print(describe("request to started", started))
            print(describe("request to exit seen", ended))
            gate = asyncio.Semaphore(IN_FLIGHT)

            async def run(name: str) -> None:
                async with gate:
                    await containers.launch(name, "/bin/true")
                    await containers.end_of(name)
                    await containers.containerizer.destroy(name)

            begin = time.perf_counter()
            await asyncio.gather(*(run(f"rush-{n}") for n in range(THROUGHPUT_COUNT)))
            rate = THROUGHPUT_COUNT / (time.perf_counter() - begin)
            print(f"{THROUGHPUT_COUNT} launches, {IN_FLIGHT} in flight: {rate:.0f}/s")
            print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cpus, {os.uname().release}")


if __name__ == "__main__":
    count, gap_ms = [int(text) for text in sys.argv[1:]] or (60, 40)
    asyncio.run(measure(count, gap_ms / 1e3))
