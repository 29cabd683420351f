"""Finished folders in; numbers, tables, plots and pages out. It imports no other sibling and no torch."""
