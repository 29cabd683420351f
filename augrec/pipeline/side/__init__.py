"""What a variant's model is given beside interactions: the augmentation, less than it, or one of its controls."""
