"""Messages to and from Cap'n Proto: one generated module per schema."""
