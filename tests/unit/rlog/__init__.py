"""Tests of the log and the loop over it."""
