"""One recommender per file, and the registry that names them. Importing this package loads no torch."""
