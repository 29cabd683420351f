"""Augmentations side by side: the same data, models and seeds, judged downstream, by their text and by their cost."""
