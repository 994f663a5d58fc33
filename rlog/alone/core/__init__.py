"""What such a log decides: pure functions of its state."""
