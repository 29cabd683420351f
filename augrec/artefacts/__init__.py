"""How files get on disk: errors, atomic writes, hashes, options and progress shared by every package.

The only package `augment`, `embed` and `recsys` may all import. It knows nothing of users, items or models.
"""
