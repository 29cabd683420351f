"""What texts and edges are worth before anything is trained on them."""
