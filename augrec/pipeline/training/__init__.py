"""One training: a variant with a seed or the base recommender, what it starts from, and who is told of it."""
