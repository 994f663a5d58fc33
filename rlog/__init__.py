"""A replicated, durable log of opaque bytes, and the loop over it."""
