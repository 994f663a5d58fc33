"""Starts a member of a log by itself as `python -m rlog`."""

from rlog.alone.main import main

main()
