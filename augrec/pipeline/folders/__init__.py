"""Commands that look at a finished or unfinished folder: how far it is, what takes the disk, what may go."""
