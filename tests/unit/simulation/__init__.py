"""Tests of what the simulations are judged by."""
