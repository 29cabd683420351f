"""The files that the packages meet in, and how files get on disk: paths, schemas and readers of a run, and metrics.

Errors, atomic writes, locks, options and progress stand here too. Every package may import it; it imports none of them.
"""
