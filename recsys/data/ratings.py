"""The ratings of a split, where all have one."""

from __future__ import annotations

import numpy as np

from augrec.artefacts.errors import DataError
from recsys.data.dataset import Dataset


def known_ratings(dataset: Dataset, split: str) -> np.ndarray:
    """float32 [m], aligned with `dataset.pairs(split)`, none missing.

    Raises:
        DataError: the data have no ratings, or an interaction of the split has none.
    """
    ratings = dataset.ratings(split)
    if ratings is None:
        raise DataError(
            "the data have no ratings, so nothing can be compared with what a model predicts",
            where="dataset.source",
            remedy="name the column of ratings, or train a model of ranked lists",
        )
    missing = np.isnan(ratings)
    if missing.any():
        user, item = dataset.pairs(split)[np.argmax(missing)].tolist()
        raise DataError(
            f"{int(missing.sum())} of {len(ratings)} {split} interactions have no rating",
            where=f"user {user}, item {item}",
            remedy="set dataset.min_rating to the lowest rating (0, say): interactions without one are left out then",
        )
    return ratings
