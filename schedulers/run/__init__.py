"""`quorate run`: one command, one or more times, somewhere in the cluster."""
