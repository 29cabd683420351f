"""What a process of the pipeline meets on its machine: signals, other processes, earlier attempts, a terminal."""
