"""Ranking metrics as functions of tensors; nothing here knows of models or data sets."""
