"""Microseconds per message that the codecs take: batches of statuses, descriptions, frames."""

import time
from collections.abc import Callable

from protocol import schema
from protocol.codecs.agent import decode_agent_message, encode_agent_message
from protocol.codecs.values import decode_task_description, encode_task_description
from protocol.frames import Frame, Payload, decode_frame, encode_frame
from protocol.messages.agent import StatusUpdates
from protocol.messages.values import (
    Label,
    TaskDescription,
    TaskReason,
    TaskState,
    TaskStatus,
    Uri,
    Variable,
)
from protocol.resources import parse_resources

REPEATS = 5
BATCH = 100


def status(number: int) -> TaskStatus:
    return TaskStatus(
        framework_id="fw-17",
        task_id=f"web.{number}",
        agent_id="node-0042-a1b2c3",
        launch=1000 + number,
        sequence=2,
        state=TaskState.RUNNING,
        reason=TaskReason.AGENT_RETURNED,
        message="running",
        stamp_ns=1_790_000_000_000_000_000,
        pid=4000 + number,
    )


DESCRIPTION = TaskDescription(
    task_id="web.1",
    name="web",
    command=("/bin/sh", "-c", "exec ./serve --port $PORT0"),
    resources=parse_resources("cpus:0.5;mem:512MiB;disk:1GiB;ports:[31000-31001]"),
    environment=(Variable("MODE", "production"), Variable("REGION", "north")),
    uris=(Uri("https://files.example/web-1.2.3.tar.gz", extract=True),),
    user="web",
    kill_grace_ns=5_000_000_000,
    labels=(Label("team", "shop"), Label("tier", "front")),
)


def microseconds(action: Callable[[], object], seconds: float = 0.2) -> float:
    """Return the CPU time of one call: the best of a few runs, to see past a busy machine."""
    calls, begin = 0, time.process_time()
    while time.process_time() - begin < seconds / REPEATS:
        action()
        calls += 1
    best = float("inf")
    for _ in range(REPEATS):
        begin = time.process_time()
        for _ in range(calls):
            action()
        best = min(best, (time.process_time() - begin) / calls)
    return best * 1e6


def main() -> None:
    """Print one line per shape: name, encode, decode, bytes."""
    updates = StatusUpdates(tuple(map(status, range(BATCH))))
    batch = encode_agent_message(updates)
    single = encode_agent_message(StatusUpdates((status(1),)))
    description = encode_task_description(DESCRIPTION)
    frame = Frame(7, Payload(single))
    segments = schema.split_segments(encode_frame(frame))
    rows: list[tuple[str, float, float, float]] = [
        (
            f"status, {BATCH} in a message",
            microseconds(lambda: encode_agent_message(updates)) / BATCH,
            microseconds(lambda: decode_agent_message(batch)) / BATCH,
            len(batch) / BATCH,
        ),
        (
            "status, alone in a message",
            microseconds(lambda: encode_agent_message(StatusUpdates((status(1),)))),
            microseconds(lambda: decode_agent_message(single)),
            len(single),
        ),
        (
            "task description",
            microseconds(lambda: encode_task_description(DESCRIPTION)),
            microseconds(lambda: decode_task_description(description)),
            len(description),
        ),
        (
            "frame around a payload",
            microseconds(lambda: encode_frame(frame)),
            microseconds(lambda: decode_frame(segments)),
            len(segments[0]) + 8,
        ),
    ]
    print(f"{'codec, µs of CPU each':<30}{'encode':>10}{'decode':>10}{'bytes':>10}")
    for name, encode_us, decode_us, size_bytes in rows:
        print(f"{name:<30}{encode_us:>10.2f}{decode_us:>10.2f}{size_bytes:>10.0f}")


if __name__ == "__main__":
    main()
