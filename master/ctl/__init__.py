"""The operator's tool: the `quorate` command."""
