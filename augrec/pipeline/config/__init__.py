"""What a config says: a run as typed options, what of it does not fit together, and the files that come along."""
