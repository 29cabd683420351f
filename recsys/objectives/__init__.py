"""Loss terms, one per file, shared by the models."""
