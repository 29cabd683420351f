"""Graphs of users and items as sparse operators, and graphs of nearest neighbours."""
