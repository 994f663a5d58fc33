"""Frameworks that come with Quorate, and the driver with which you write your own."""

from protocol.states import is_ended
from schedulers.driver import Driver
from schedulers.framework import Framework, Scheduler

__all__ = ["Driver", "Framework", "Scheduler", "is_ended"]
