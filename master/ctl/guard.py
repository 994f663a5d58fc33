"""The guard: what keeps many agents that fall silent at once from being given up."""

import sys

from master.ctl.asking import ask, now_ns, run
from master.ctl.tables import format_age
from master.ctl.target import Target
from protocol.messages.operator import Done, GuardView, LiftGuard, ShowGuard, ZoneView

SECOND_NS = 1_000_000_000


def lift(target: Target, seconds: float) -> None:
    """Believe that silent agents are gone, for so long. Raises: CommandError."""
    run(ask(target, LiftGuard(for_ns=int(seconds * SECOND_NS)), Done))
    if seconds:
        text = f"silent agents are given up, however many they are, for {seconds:g} s"
    else:
        text = "silent agents are held again when they are many"
    sys.stdout.write(f"{text}\n")


def tell_guard(target: Target) -> None:
    """Say on stderr which zones are held, and what to do; nothing when none is.

    Raises: CommandError.
    """
    view = run(ask(target, ShowGuard(), GuardView))
    held = [zone for zone in view.zones if zone.is_held]
    for zone in held:
        sys.stderr.write(f"{describe_held(zone)}\n")
    if held:
        sys.stderr.write("if their machines are dead: quorate agent release\n")
    if view.lifted_until_ns:
        left = format_age(view.lifted_until_ns - now_ns())
        sys.stderr.write(f"silent agents are given up, however many they are, for {left}\n")


def describe_held(zone: ZoneView) -> str:
    """Return what is said of a zone whose agents are not given up."""
    where = f" of zone {zone.zone}" if zone.zone else ""
    return f"{zone.absent} of {zone.agents} agents{where} fell silent at once: none is given up"
