"""Real masters, agents and schedulers in one process, in virtual time, under seeded faults."""
