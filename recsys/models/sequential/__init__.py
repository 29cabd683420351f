"""Models of sequences, which are judged by the next item."""
