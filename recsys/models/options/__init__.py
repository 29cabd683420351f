"""Options of the model families, a file each. No torch here: configs are read without it."""
