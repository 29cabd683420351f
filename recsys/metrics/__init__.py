"""Ranking metrics as functions of arrays; nothing here knows of models, data sets or torch."""
