"""A run on a SLURM cluster: what is submitted, and how far it is."""
