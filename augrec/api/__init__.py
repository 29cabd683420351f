"""What `import augrec` offers: the parts of a run without its config and folder, for a notebook or a script."""
