"""Spaces: keys, versions, watches and leases over the log, as a core that any machine can hold."""
