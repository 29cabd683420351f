"""Top-k lists of a finished run, by the ids that the data's own source uses."""
