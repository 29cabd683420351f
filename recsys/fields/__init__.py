"""Categorical fields of users and items: what models of ratings read beside the ids."""
