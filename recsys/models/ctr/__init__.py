"""Models that rate a pair by the products of its fields, as models of click-through rates do."""
