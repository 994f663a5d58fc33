"""Starts `quorate run` as a process of its own."""

from schedulers.run.main import main

main()
