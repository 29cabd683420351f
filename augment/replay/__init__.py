"""Records that exist already, published ones or an earlier run's, as the answers of a source."""
