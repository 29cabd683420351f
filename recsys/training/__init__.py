"""One training: its processes, its steps, when it stops, what it leaves behind."""
