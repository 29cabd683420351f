"""A run on a Ray cluster: its pieces are tasks there, and results go through the run folder alone."""
