"""Running several trainings or runs and comparing them: experiments and comparisons."""
