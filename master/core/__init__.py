"""The deciding part of the master: pure, synchronous, deterministic."""
