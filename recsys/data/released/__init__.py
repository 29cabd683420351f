"""Reads the files that LLMRec's authors (and several forks) released, without trusting them."""
