"""What a step of training sees: batches and how they are drawn."""
