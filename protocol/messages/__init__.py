"""Messages as plain values: one generated module per schema, free of any I/O."""
