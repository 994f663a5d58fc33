"""`python -m master`."""

from master.main import main

main()
