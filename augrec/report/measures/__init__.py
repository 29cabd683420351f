"""What is measured of texts and of recommenders, each a pure function of records, vectors or tables."""
