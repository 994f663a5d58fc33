"""The master: shares out the agents' resources and remembers every decision in a replicated log."""
