"""A data set in, ranked items or ratings out: models, their training and their evaluation."""
