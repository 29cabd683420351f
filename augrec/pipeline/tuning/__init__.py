"""Instruction tuning of a run's language model, by a program that runs in an environment of its own."""
