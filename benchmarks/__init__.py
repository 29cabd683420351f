"""Measurements to run by hand: `python -m benchmarks.NAME`, each against something a user would compare with."""
