"""Who does the pieces of a run, in which order, and how often: this process, several, or a SLURM cluster."""
