"""Data of ratings and data of sequences, from a file to the figures that a model gets on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from recsys.data.dataset import Dataset
from recsys.data.options import DatasetOptions
from recsys.data.prepare import prepare
from recsys.data.readers.registry import read
from recsys.evaluation.next_item import evaluate_next_item
from recsys.evaluation.rating import evaluate_ratings


def prepared(folder: Path, rows: pd.DataFrame, **options: object) -> Dataset:
    """The rows written as somebody's file, read and split."""
    rows.to_csv(folder / "ratings.csv", index=False)
    table = {"interactions": "ratings.csv", "user": "who", "item": "what", "timestamp": "when"}
    table |= {name: name for name in ("rating", "review") if name in rows}
    source = {"format": "table", "path": str(folder), "table": table}
    chosen = DatasetOptions.model_validate({"name": "t", "source": source, **options})
    prepare(read(chosen, folder), chosen, folder / "dataset", seed=1)
    return Dataset.load(folder / "dataset")


def rated(n_users: int = 30, n_items: int = 20) -> pd.DataFrame:
    """Every user rates a third of the items by own mood and the item's quality, and some rows lack their rating."""
    rng = np.random.default_rng(4)
    mood, quality = rng.uniform(1, 3, n_users), rng.uniform(0, 2, n_items)
    rows = [
        {
            "who": f"u{user:02}",
            "what": f"i{item:02}",
            "rating": round(mood[user] + quality[item], 2),
            "when": int(when),
            "review": f"u{user:02} on i{item:02}",
        }
        for user in range(n_users)
        for item, when in zip(rng.permutation(n_items)[:7], rng.permutation(10**6), strict=False)
    ]
    frame = pd.DataFrame(rows)
    frame.loc[::11, "rating"] = np.nan
    return frame


@pytest.mark.parametrize("kind", ["random", "leave_last_out", "temporal"])
def test_ratings_of_a_file_are_predicted_and_judged(tmp_path: Path, kind: str) -> None:
    rows = rated()
    dataset = prepared(tmp_path, rows, min_rating=0, split={"kind": kind})
    known = rows.dropna(subset="rating")
    assert len(dataset.train) + len(dataset.valid) + len(dataset.test) == len(known)
    users, items = (table["source_id"].to_pylist() for table in (dataset.users, dataset.items))
    truth = known.set_index(["who", "what"])["rating"]
    for split in ("train", "valid", "test"):
        texts = dataset.texts(split)
        assert texts is not None
        assert texts.to_pylist() == [f"{users[user]} on {items[item]}" for user, item in dataset.pairs(split).tolist()]

    def knows(pairs: Tensor) -> Tensor:
        return torch.tensor([float(truth[users[user], items[item]]) for user, item in pairs.tolist()])

    trained = dataset.train_ratings
    assert trained is not None

    def is_flat(pairs: Tensor) -> Tensor:
        return torch.full((len(pairs),), float(trained.mean()))

    perfect, flat = (evaluate_ratings(rate, dataset, "test", clip=False) for rate in (knows, is_flat))
    assert max(perfect.mean.values()) < 1e-6
    held_out = np.array([truth[users[user], items[item]] for user, item in dataset.test.tolist()])
    assert flat.mean["pooled_rmse"] == pytest.approx(np.sqrt(np.mean((held_out - trained.mean()) ** 2)), rel=1e-5)
    own = pd.Series(np.abs(held_out - trained.mean())).groupby(dataset.test[:, 0]).mean()
    assert flat.mean["mae"] == pytest.approx(own.mean(), rel=1e-5)
    assert flat.n_users == len(own)


def walks(n_users: int = 25, n_items: int = 12, steps: int = 6) -> pd.DataFrame:
    """Every user goes from item to the next item round the catalogue; rows are in no order."""
    rows = [
        {"who": f"u{user:02}", "what": f"i{(user + step) % n_items:02}", "when": 1000 * step + user}
        for user in range(n_users)
        for step in range(steps)
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


@pytest.mark.parametrize("split", ["valid", "test"])
def test_sequences_of_a_file_are_continued_and_judged(tmp_path: Path, split: str) -> None:
    dataset = prepared(tmp_path, walks(), split={"kind": "leave_last_out"})
    context = ("train",) if split == "valid" else ("train", "valid")

    def goes_on(users: Tensor) -> Tensor:
        """The item after the last one in the context is the likeliest, those before it are likelier than the rest."""
        scores = torch.zeros(len(users), dataset.n_items)
        for row, user in enumerate(users.tolist()):
            seen = [
                int(item)
                for part in context
                for owner, item in dataset.pairs(part)[dataset.by_time(part)].tolist()
                if owner == user
            ]
            scores[row, (seen[-1] + 1) % dataset.n_items] = 2
            scores[row, seen] = 3
        return scores

    good = evaluate_next_item(goes_on, dataset, split, cutoffs=(1, 5, 12))
    assert good.n_users == 25
    assert good.mean["hit_rate@1"] == good.mean["ndcg@1"] == good.mean["mrr@12"] == 1
    known = 4 if split == "valid" else 5  # they stand before it where they are candidates
    behind = evaluate_next_item(goes_on, dataset, split, cutoffs=(known, known + 1), mask_known=False)
    assert behind.mean[f"hit_rate@{known}"] == 0
    assert behind.mean[f"mrr@{known + 1}"] == pytest.approx(1 / (known + 1))
