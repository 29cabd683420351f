"""Variants x seeds x data sets x settings, with a search of options before them."""
