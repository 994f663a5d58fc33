"""Tests of `quorate run`."""
