"""Tests of every layer: unit, scripts, simulation, integration, faults, bench."""
