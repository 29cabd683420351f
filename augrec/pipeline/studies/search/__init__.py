"""Searching options on validation: what may vary, which trial comes next, and running them."""
