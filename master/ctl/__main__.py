"""`python -m master.ctl`, where the `quorate` script is not installed."""

from master.ctl.main import main

main()
