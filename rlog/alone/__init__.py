"""A log that runs by itself, one process or three of them, for whoever needs no cluster."""
