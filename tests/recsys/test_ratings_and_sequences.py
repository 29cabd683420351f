"""Data of ratings and data of sequences, from a file to the figures that a model gets on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from augrec.artefacts.interactions import read_interactions
from augrec.artefacts.run_folder import DatasetFolder
from recsys.batches.sequences import Sequences
from recsys.data.dataset import Dataset
from recsys.data.folds import last_item_folds
from recsys.data.newcomers import Newcomers
from recsys.data.noise import with_false_interactions
from recsys.data.options import DatasetOptions
from recsys.data.prepare import prepare
from recsys.data.readers.registry import read as read_source
from recsys.evaluation.next_item import evaluate_next_item, next_items
from recsys.evaluation.rating import evaluate_ratings


def prepared(folder: Path, rows: pd.DataFrame, **options: object) -> Dataset:
    """The rows written as somebody's file, read and split."""
    rows.to_csv(folder / "ratings.csv", index=False)
    table = {"interactions": "ratings.csv", "user": "who", "item": "what", "timestamp": "when"}
    table |= {name: name for name in ("rating", "review") if name in rows}
    source = {"format": "table", "path": str(folder), "table": table}
    chosen = DatasetOptions.model_validate({"name": "t", "source": source, **options})
    prepare(read_source(chosen, folder), chosen, folder / "dataset", seed=1)
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


@pytest.mark.parametrize("ties", ["id", "hashed", "file"])
def test_everything_in_time_follows_the_order_of_equal_times(tmp_path: Path, ties: str) -> None:
    """Six things at one second and one before them: split, sequences, inputs of test, histories of prompts, next items,
    folds, newcomers and data that are read from a run again have one order of them."""
    rng = np.random.default_rng(7)
    rows = [
        {"who": f"u{user}", "what": f"i{item}", "when": 60 if item else 50} for user in range(12) for item in range(7)
    ]
    frame = pd.DataFrame([rows[at] for at in rng.permutation(len(rows))])
    options = {"split": {"kind": "leave_last_out", "ties": ties}}
    dataset = prepared(tmp_path, frame, **options)
    users, items = (table["source_id"].to_pylist() for table in (dataset.users, dataset.items))

    def named(row: np.ndarray) -> list[str]:
        return [items[item] for item in row.tolist()]

    contexts = [
        Sequences.of(dataset, splits) for splits in (("train",), ("train", "valid"), ("train", "valid", "test"))
    ]
    known, whole = (
        [named(of.items[of.starts[user] : of.starts[user + 1]].numpy()) for user in range(12)]
        for of in (contexts[0], contexts[2])
    )
    in_file = {user: own["what"].tolist() for user, own in frame[frame["when"] == 60].groupby("who")}
    by_file = [["i0", *in_file[user]] for user in users]
    by_id = [sorted(own) for own in by_file]
    assert (whole == by_file, whole == by_id) == (ties == "file", ties == "id")
    assert sorted(map(sorted, whole)) == sorted(by_id)
    assert all(own[0] == "i0" for own in whole)
    assert known == [own[:-2] for own in whole]
    assert [named(contexts[1].items.numpy())[6 * user + 5] for user in range(12)] == [own[-2] for own in whole]
    assert named(next_items(dataset, "test")[:, 1]) == [own[-1] for own in whole]

    read = read_interactions(DatasetFolder(tmp_path / "dataset").interactions, 12, 7, splits=("train",), times=True)
    histories = read.histories("train", 12)
    assert [named(histories.of(user)) for user in range(12)] == known
    held_out = dataset.train[last_item_folds(dataset, 2, 0) >= 0]
    assert named(held_out[:, 1]) == [own[-1] for own in known]
    fewer = dataset.without(np.isin(np.arange(len(dataset.train)), np.flatnonzero(last_item_folds(dataset, 2, 0) >= 0)))
    assert named(Sequences.of(fewer).items.numpy()) == [item for own in known for item in own[:-1]]

    test = dataset.test[0]
    joined = Newcomers(users=("new",), pairs=np.array([test, (12, 3), (12, 1)])).join(dataset)
    sequences = Sequences.of(joined)
    assert named(sequences.items.numpy()) == [
        *known[0],
        whole[0][-1],
        *(item for own in known[1:] for item in own),
        "i3",
        "i1",
    ]
    noisy = with_false_interactions(fewer, held_out[:1])
    assert sorted(named(Sequences.of(noisy).items[:5].numpy())) == sorted(known[0])

    again = {"source": {"format": "augrec", "path": str(tmp_path / "dataset")}}
    for split, same in (({"kind": "given"}, True), ({"kind": "leave_last_out"}, ties == "id")):
        chosen = DatasetOptions.model_validate({"name": "t", **again, "split": split})
        prepare(read_source(chosen, tmp_path / "dataset"), chosen, tmp_path / "again", seed=1)
        other = Sequences.of(Dataset.load(tmp_path / "again"), ("train", "valid", "test"))
        assert torch.equal(other.items, contexts[2].items) is same
