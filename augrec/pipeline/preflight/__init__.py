"""What a run's later stages need, looked for before its first one: everything that is missing is said at once."""
