"""Experiments: variants x seeds x data sets x settings from one file, with the tables and plots a paper shows."""
