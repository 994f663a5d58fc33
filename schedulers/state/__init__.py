"""`quorate state`: the spaces of schedulers from the command line."""
