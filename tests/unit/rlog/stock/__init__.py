"""What the library does when nothing of it is replaced."""
