"""Starts `quorate state` as a process of its own."""

from schedulers.state.main import main

main()
