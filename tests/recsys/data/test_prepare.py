"""From raw frames to the dataset folder, and ML-100K's published figures."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augrec.artefacts.errors import DataError
from recsys.data import dataset_files
from recsys.data.dataset import Dataset
from recsys.data.dataset_files import split_sha256
from recsys.data.options import DatasetOptions
from recsys.data.prepare import prepare
from recsys.data.readers.base import RawData
from recsys.data.readers.registry import read
from recsys.data.source_ids import ranked_ids

KINDS = ["random", "hashed", "leave_last_out", "temporal"]


def raw_data(seed: int = 0, n: int = 300) -> RawData:
    rng = np.random.default_rng(seed)
    interactions = pd.DataFrame(
        {
            "user": rng.integers(8, 28, n).astype(str),
            "item": [f"i{i}" for i in rng.integers(0, 30, n)],
            "rating": rng.integers(1, 6, n).astype(np.float32),
            "timestamp": rng.integers(0, 50, n),
        }
    )
    items = pd.DataFrame(
        {
            "item": [f"i{i}" for i in range(29, -1, -1)],  # in another order than the ids, and i29 is never dropped
            "title": [f"Title {i}" for i in range(29, -1, -1)],
            "year": pd.array([None if i == 3 else 1970 + i for i in range(29, -1, -1)], dtype="Int16"),
            "genres": [["Drama", "unknown"] if i % 2 else ["(no genres listed)"] for i in range(29, -1, -1)],
        }
    )
    users = pd.DataFrame({"user": [str(u) for u in range(5, 40)], "age": [float(u) for u in range(5, 40)]})
    return RawData(interactions, items, users)


@pytest.mark.parametrize("kind", KINDS)
def test_the_artefacts(tmp_path: Path, options: Callable, kind: str) -> None:
    meta = prepare(raw_data(), options(min_rating=2, k_core=3, split={"kind": kind}), tmp_path, 7)
    table = pq.read_table(tmp_path / "interactions.parquet")
    types = {field.name: str(field.type) for field in table.schema}
    wanted = {"user": "int32", "item": "int32", "rating": "float", "timestamp": "int64", "split": "string"}
    assert types == wanted
    frame = table.to_pandas()
    order = frame.assign(split=frame["split"].map({"train": 0, "valid": 1, "test": 2}))
    assert order.equals(order.sort_values(["user", "split", "timestamp", "item"], ignore_index=True))
    assert json.loads((tmp_path / "dataset.json").read_text()) == meta
    counts, sizes = meta["counts"], frame["split"].value_counts()
    assert counts["interactions"] == len(frame) == counts["train"] + counts["valid"] + counts["test"]
    assert {name: counts[name] for name in sizes.index} == sizes.to_dict()
    assert counts["users_with_test"] == frame.loc[frame["split"] == "test", "user"].nunique()
    assert counts["users_without_train"] == 0
    assert meta["genres"] == ["Drama"]
    assert meta["protocol"]["seed"] == 7


def test_side_rows_follow_the_source_ids(tmp_path: Path, options: Callable) -> None:
    prepare(raw_data(), options(), tmp_path, 0)
    dataset = Dataset.load(tmp_path)
    items, users = dataset.items.to_pylist(), dataset.users.to_pylist()
    assert [row["source_id"] for row in items] == sorted(row["source_id"] for row in items)  # text order: i1, i10, i11
    assert [int(row["source_id"]) for row in users] == sorted(int(row["source_id"]) for row in users)  # 8, 9, 10
    for row in items:
        number = int(row["source_id"][1:])
        assert row["title"] == f"Title {number}"
        assert row["year"] == (None if number == 3 else 1970 + number)
        assert row["genres"] == (["Drama"] if number % 2 else [])
    assert all(row["age"] == int(row["source_id"]) for row in users)
    assert [str(dataset.items.schema.field(name).type) for name in ("item", "year")] == ["int32", "int16"]


def test_what_the_source_said_survives(tmp_path: Path, options: Callable) -> None:
    raw = raw_data()
    prepare(raw, options(), tmp_path, 0)
    dataset = Dataset.load(tmp_path)
    users, items = dataset.users["source_id"].to_pylist(), dataset.items["source_id"].to_pylist()
    pairs = {(users[u], items[i]) for part in (dataset.train, dataset.valid, dataset.test) for u, i in part.tolist()}
    assert pairs == set(zip(raw.interactions["user"], raw.interactions["item"], strict=True))
    times = raw.interactions.groupby(["user", "item"])["timestamp"].max()
    assert dataset.train_timestamps is not None
    for (u, i), time in zip(dataset.train.tolist(), dataset.train_timestamps.tolist(), strict=True):
        assert times[users[u], items[i]] == time


def test_absent_users_and_items_are_counted_and_get_no_id(tmp_path: Path, options: Callable) -> None:
    raw = raw_data()
    seen_users, seen_items = raw.interactions["user"].nunique(), raw.interactions["item"].nunique()
    meta = prepare(raw, options(), tmp_path, 0)
    assert (meta["counts"]["users"], meta["counts"]["items"]) == (seen_users, seen_items)
    assert meta["dropped"]["users_without_interactions"] == 35 - seen_users
    assert meta["dropped"]["items_without_interactions"] == 30 - seen_items
    assert f"left out, because no interaction is left: users ({35 - seen_users})" in meta["notes"]


def test_an_item_nobody_described_gets_nulls(tmp_path: Path, options: Callable) -> None:
    raw = raw_data()
    prepare(RawData(raw.interactions, raw.items[raw.items["item"] != "i7"], raw.users), options(), tmp_path, 0)
    row = next(row for row in Dataset.load(tmp_path).items.to_pylist() if row["source_id"] == "i7")
    assert (row["title"], row["year"], row["genres"]) == (None, None, [])


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8)
@given(seed=st.integers(0, 1000))
def test_the_order_of_rows_changes_nothing(tmp_path_factory: pytest.TempPathFactory, kind: str, seed: int) -> None:
    raw, rng = raw_data(3), np.random.default_rng(seed)
    source = {"format": "recbole", "path": "p"}
    chosen = DatasetOptions(name="t", source=source, min_rating=2, k_core=2, sample_users=12, split={"kind": kind})
    shuffled = RawData(
        raw.interactions.iloc[rng.permutation(len(raw.interactions))].reset_index(drop=True),
        raw.items.iloc[rng.permutation(len(raw.items))].reset_index(drop=True),
        raw.users.iloc[rng.permutation(len(raw.users))].reset_index(drop=True),
    )
    folders = [tmp_path_factory.mktemp("d") for _ in range(2)]
    metas = [prepare(data, chosen, folder, 4) for data, folder in zip((raw, shuffled), folders, strict=True)]
    assert metas[0] == metas[1]
    for name in ("interactions", "items", "users"):
        a, b = (pq.read_table(folder / f"{name}.parquet") for folder in folders)
        assert a.equals(b)


def test_the_seed_decides_the_split(tmp_path: Path, options: Callable) -> None:
    hashes = [
        prepare(raw_data(), options(), tmp_path / str(n), seed)["split_sha256"] for n, seed in enumerate((1, 1, 2))
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_split_by_time_without_times_names_the_source(tmp_path: Path, options: Callable) -> None:
    raw = raw_data()
    bare = RawData(raw.interactions.drop(columns="timestamp"), raw.items, raw.users)
    with pytest.raises(DataError, match=r"(?s)needs timestamps.*somewhere"):
        prepare(bare, options(split={"kind": "temporal"}), tmp_path, 0)
    assert not list(tmp_path.iterdir())


def test_without_ratings_and_times_the_columns_are_absent(tmp_path: Path, options: Callable) -> None:
    raw = raw_data()
    prepare(RawData(raw.interactions[["user", "item"]], raw.items, raw.users), options(), tmp_path, 0)
    assert pq.read_schema(tmp_path / "interactions.parquet").names == ["user", "item", "split"]
    assert Dataset.load(tmp_path).train_timestamps is None


def test_ids_are_numeric_only_when_all_are() -> None:
    assert ranked_ids(pd.Series(["10", "9", "-1", "9"]))[1].tolist() == ["-1", "9", "10"]
    assert ranked_ids(pd.Series(["10", "9", "x"]))[1].tolist() == ["10", "9", "x"]
    codes, names = ranked_ids(pd.Series(["7", "07", "10"]))
    assert names.take(pa.array(codes)).tolist() == ["7", "07", "10"]


@pytest.mark.parametrize("together", [1, 2, 100])
def test_the_hash_is_of_the_triples_whatever_their_order(monkeypatch: pytest.MonkeyPatch, together: int) -> None:
    monkeypatch.setattr(dataset_files, "HASHED", together)
    users, items, splits = np.array([0, 0, 1]), np.array([1, 2, 1]), np.array([0, 1, 2])
    order = [2, 0, 1]
    triples = b"".join(struct.pack("<iiB", *triple) for triple in zip(users, items, splits, strict=True))
    assert split_sha256(users, items, splits) == hashlib.sha256(triples).hexdigest()
    assert split_sha256(users, items, splits) == split_sha256(users[order], items[order], splits[order])
    assert split_sha256(users, items, splits) != split_sha256(users, items, splits[order])


def test_items_of_another_catalogue_are_refused(tmp_path: Path, options: Callable) -> None:
    raw = raw_data()
    items = raw.items.assign(item=raw.items["item"] + ".0")
    with pytest.raises(DataError, match=r"(?s)no id is in common.*'i0'.*'i0\.0'"):
        prepare(RawData(raw.interactions, items, raw.users), options(), tmp_path, 0)
    assert not list(tmp_path.iterdir())


def test_what_is_missing_or_left_out_is_noted(tmp_path: Path, options: Callable) -> None:
    raw = raw_data()
    ratings = raw.interactions["rating"].where(raw.interactions.index >= 3)
    items = raw.items[raw.items["item"] != "i7"]
    items = items.assign(title=items["title"].where(items["item"] != "i3", " ").replace("Title 4", "Rock &amp; Roll"))
    source = RawData(raw.interactions.assign(rating=ratings), items, raw.users, notes=("as read",))
    meta = prepare(source, options(min_rating=2, k_core=2), tmp_path, 0)
    assert meta["dropped"]["without_rating"] == 3
    assert meta["notes"][:2] == ["as read", "3 of 300 interactions have no rating"]
    assert any(note.startswith("interactions left out: duplicates (") for note in meta["notes"])
    assert "1 of 30 items have no row in the table of items, e.g. 'i7'" in meta["notes"]
    assert "items: HTML tags and entities removed from title (1)" in meta["notes"]
    assert "2 of 30 items have no title" in meta["notes"]
    assert "Rock & Roll" in Dataset.load(tmp_path).items["title"].to_pylist()


@pytest.mark.parametrize("kind", KINDS)
def test_times_that_some_lack_are_left_out_or_an_error(tmp_path: Path, options: Callable, kind: str) -> None:
    raw = raw_data()
    times = raw.interactions["timestamp"].astype("Int64").mask(raw.interactions.index == 6)
    source = RawData(raw.interactions.assign(timestamp=times), raw.items, raw.users)
    if kind in ("random", "hashed"):
        meta = prepare(source, options(split={"kind": kind}), tmp_path, 0)
        assert "1 of 300 interactions have no timestamp: timestamps are left out" in meta["notes"]
        assert Dataset.load(tmp_path).train_timestamps is None
    else:
        with pytest.raises(DataError, match=r"(?s)1 of 300 interactions have no timestamp.*data row 7"):
            prepare(source, options(split={"kind": kind}), tmp_path, 0)


def test_one_interaction_per_user_is_refused(tmp_path: Path, options: Callable) -> None:
    interactions = pd.DataFrame({"user": [str(u) for u in range(30)], "item": [f"i{u % 20}" for u in range(30)]})
    with pytest.raises(DataError, match=r"(?s)leaves nothing for validation and test.*dataset\.split"):
        prepare(RawData(interactions, raw_data().items, raw_data().users), options(), tmp_path, 0)
    assert not list(tmp_path.iterdir())


def test_items_of_one_user_each_go_back_to_train_and_that_is_said(tmp_path: Path, options: Callable) -> None:
    interactions = pd.DataFrame({"user": [f"u{n // 6}" for n in range(60)], "item": [f"i{n}" for n in range(60)]})
    nobody = pd.DataFrame({"item": pd.Series(dtype=str)}), pd.DataFrame({"user": pd.Series(dtype=str)})
    for kind in ("random", "hashed"):
        with pytest.raises(DataError, match=r"(?s)most active has 6.*every item keeps an interaction in train"):
            prepare(RawData(interactions, *nobody), options(split={"kind": kind}), tmp_path, 0)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "recbole"])
def test_nothing_is_no_text_whatever_the_file(tmp_path: Path, options: Callable, suffix: str) -> None:
    """Programs that write what they have not as a word: nan, None, NULL."""
    log = pd.DataFrame({"user_id": [f"u{n // 5}" for n in range(100)], "item_id": [f"i{n % 12}" for n in range(100)]})
    words = {"title": "None", "brand": "nan", "genres": "NULL", "region": "NA"}
    items = pd.DataFrame({"item_id": [f"i{n}" for n in range(12)]})
    items = items.assign(
        **{name: [word if n % 2 else f"{name} {n}" for n in range(12)] for name, word in words.items()}
    )
    files = {"log": f"x.{suffix}", "items": f"y.{suffix}"}
    if suffix == "recbole":
        files = {"log": "x.inter", "items": "x.item"}
    write = {
        "csv": lambda frame, path: frame.to_csv(path, index=False),
        "jsonl": lambda frame, path: frame.to_json(path, orient="records", lines=True),
        "parquet": lambda frame, path: frame.to_parquet(path),
        "recbole": lambda frame, path: frame.add_suffix(":token").to_csv(path, index=False, sep="\t"),
    }[suffix]
    for frame, name in ((log, files["log"]), (items, files["items"])):
        write(frame, tmp_path / name)
    table = {"interactions": files["log"], "items": files["items"]}
    chosen = options("recbole") if suffix == "recbole" else options("table", table)
    meta = prepare(read(chosen, tmp_path), chosen, tmp_path / "out", 0)
    written = pq.read_table(tmp_path / "out" / "items.parquet").to_pylist()
    assert len(written) == 12
    for row in written:
        number = int(row["source_id"].removeprefix("i"))
        known = {name: f"{name} {number}" for name in words}
        known["genres"] = [known["genres"]]
        nothing = {"title": None, "brand": None, "genres": [], "region": "NA"}
        assert {name: row[name] for name in words} == (nothing if number % 2 else known)
    for name in ("title", "brand"):
        assert f"{files['items']}: 6 values of {name} read {words[name]!r} or the like: missing" in meta["notes"]


ML100K = importlib.util.find_spec("recbole")


@pytest.mark.data
@pytest.mark.skipif(ML100K is None, reason="needs ML-100K: pip install --no-deps recbole==1.2.1")
def test_ml100k_has_the_published_figures(tmp_path: Path, options: Callable) -> None:
    assert ML100K is not None
    folder = Path(ML100K.submodule_search_locations[0]) / "dataset_example" / "ml-100k"
    chosen = options(min_rating=4, k_core=5, split={"kind": "temporal"})
    meta = prepare(read(chosen, folder), chosen, tmp_path, 0)
    counts = meta["counts"]
    assert (counts["users"], counts["items"], counts["interactions"]) == (938, 1008, 54413)
    assert (counts["train"], counts["valid"], counts["test"], counts["users_with_test"]) == (43158, 5398, 5857, 938)
    assert meta["split_sha256"] == "a522400f5ada6808f4da8f5a00f2d535e07ef4a7260a665fe6f7224c596c241c"
    assert len(meta["genres"]) == 18
    whole = read(options(), folder)
    assert (len(whole.users), len(whole.items), len(whole.interactions)) == (943, 1682, 100_000)
    assert whole.items.set_index("item").loc["265", "title"] == "The Hunt for Red October"
