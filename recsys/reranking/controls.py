"""Judgements of lists by nobody who read anything: what a language model's has to beat."""

from __future__ import annotations

import numpy as np

from recsys.reranking.aggregation import Judgement


def random_places(items: np.ndarray, size: int, rng: np.random.Generator) -> Judgement:
    """The first `size` items of each list (int64 [n, m], -1 behind its end) in an order drawn for it."""
    here = items[:, :size] >= 0
    return Judgement(_places(np.where(here, rng.random(here.shape), -np.inf), here), places=True)


def popular_places(items: np.ndarray, size: int, counts: np.ndarray) -> Judgement:
    """The first `size` items of each list by their training interactions, int64 [n_items]; ties as they stand."""
    here = items[:, :size] >= 0
    popularity = np.where(here, counts[items[:, :size]], -1)
    return Judgement(_places(popularity, here), places=True)


def of_others(judged: Judgement, items: np.ndarray, asked: np.ndarray, rng: np.random.Generator) -> Judgement:
    """Every list gets the judgement of another one of its length, place by place.

    What is kept is how much is moved, and from where to where; what is lost is which items these were. Only lists that
    were asked about (bool [n]) take part. The only list of its length keeps its judgement.
    """
    values = judged.values.copy()
    lengths = (items[:, : values.shape[1]] >= 0).sum(axis=1)
    for length in np.unique(lengths[asked]):
        rows = rng.permutation(np.flatnonzero(asked & (lengths == length)))
        values[rows] = judged.values[np.roll(rows, 1)]
    return Judgement(values, judged.places)


def shuffled_ratings(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every rated pair gets the rating of another one: float64 [n, k], NaN stays where it is."""
    known = np.flatnonzero(~np.isnan(values.ravel()))
    moved = values.copy().ravel()
    order = rng.permutation(known)
    moved[order] = values.ravel()[np.roll(order, 1)]
    return moved.reshape(values.shape)


def item_means(items: np.ndarray, train: np.ndarray, ratings: np.ndarray, n_items: int) -> np.ndarray:
    """The mean training rating of each item of lists; of one without any the mean of all.

    Args:
        items: int64 [n, k], -1 behind the end of a list, where the result is NaN.
        train: int64 [m, 2] of (user, item).
        ratings: float64 [m], theirs.
        n_items: of the catalogue.
    """
    counts = np.bincount(train[:, 1], minlength=n_items)
    sums = np.bincount(train[:, 1], ratings, n_items)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), ratings.mean())
    return np.where(items >= 0, means[items], np.nan)


def _places(worth: np.ndarray, here: np.ndarray) -> np.ndarray:
    """Places from 1 by falling worth; NaN where there is no item."""
    order = np.argsort(-worth, axis=1, kind="stable")
    places = np.empty(worth.shape)
    np.put_along_axis(places, order, np.broadcast_to(np.arange(1.0, worth.shape[1] + 1), worth.shape), axis=1)
    return np.where(here, places, np.nan)
