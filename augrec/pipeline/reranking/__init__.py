"""A language model judges what a run's variants list, and both words are put together."""
