"""A model whose tables are split over the processes of a training."""
