"""A run on a cluster: what is submitted, the pieces of work that run beside each other, and how far they are."""
