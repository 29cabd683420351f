"""From raw files to a `Dataset`: readers, filters, splits and the artefacts on disk."""
