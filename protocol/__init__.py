"""The words that cross a process boundary, and how they cross."""
