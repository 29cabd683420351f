"""Ratings, times and reviews go through filters and splits beside the interactions they belong to."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from augrec.artefacts.interactions import SPLITS
from recsys.data.dataset import Dataset
from recsys.data.options import DatasetOptions
from recsys.data.prepare import prepare
from recsys.data.readers.base import RawData, SideRows, nothing_known
from recsys.data.readers.registry import read

KINDS = ["random", "hashed", "leave_last_out", "temporal"]


def raw_data(seed: int = 0, n: int = 300) -> RawData:
    """Interactions of which some repeat a pair, some have no rating and some no review."""
    rng = np.random.default_rng(seed)
    interactions = pd.DataFrame(
        {
            "user": rng.integers(8, 28, n).astype(str),
            "item": [f"i{i}" for i in rng.integers(0, 30, n)],
            "rating": np.where(rng.random(n) < 0.05, np.nan, rng.integers(1, 6, n)).astype(np.float32),
            "timestamp": rng.integers(0, 500, n),
        }
    )
    said = [
        f"{u} says {n} of {i} & more"
        for n, (u, i) in enumerate(zip(interactions["user"], interactions["item"], strict=True))
    ]
    interactions["review"] = pd.Series(said, dtype="str").where(rng.random(n) > 0.2, None)
    empty = {name: pd.DataFrame({name: pd.Series(dtype=str)}) for name in ("item", "user")}
    return RawData(interactions, empty["item"], empty["user"])


def details(dataset: Dataset) -> dict[tuple[str, str], tuple]:
    """(rating, timestamp, review) by source ids, of every split."""
    users, items = dataset.users["source_id"].to_pylist(), dataset.items["source_id"].to_pylist()
    found = {}
    for split in SPLITS:
        ratings, times, texts = dataset.ratings(split), dataset.timestamps(split), dataset.texts(split)
        assert ratings is not None
        assert times is not None
        assert texts is not None
        known = [None if np.isnan(rating) else float(rating) for rating in ratings]
        for (u, i), *values in zip(
            dataset.pairs(split).tolist(), known, times.tolist(), texts.to_pylist(), strict=True
        ):
            found[users[u], items[i]] = tuple(values)
    return found


def latest(raw: RawData) -> dict[tuple[str, str], tuple]:
    """What the source says of every pair last, the better rating at equal times, by plain Python."""
    kept: dict[tuple[str, str], tuple] = {}
    for row in raw.interactions.itertuples():
        rating = None if np.isnan(row.rating) else float(row.rating)
        review = row.review if isinstance(row.review, str) else None
        key = (int(row.timestamp), -np.inf if rating is None else rating, review or "")
        if (row.user, row.item) not in kept or key > kept[row.user, row.item][0]:
            kept[row.user, row.item] = (key, (rating, int(row.timestamp), review))
    return {pair: values for pair, (_, values) in kept.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_every_interaction_keeps_what_its_source_says(tmp_path: Path, options: Callable, kind: str) -> None:
    raw = raw_data()
    meta = prepare(raw, options(split={"kind": kind}), tmp_path, 3)
    assert details(Dataset.load(tmp_path)) == latest(raw)
    assert meta["counts"]["interactions"] == len(latest(raw))
    without = int(raw.interactions["review"].isna().sum())
    assert f"{without} of 300 interactions have no review" in meta["notes"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_threshold_for_likes_keeps_the_ratings_of_what_stays(tmp_path: Path, options: Callable, kind: str) -> None:
    raw = raw_data()
    prepare(raw, options(min_rating=3, k_core=2, sample_users=15, split={"kind": kind}), tmp_path, 3)
    kept, source = details(Dataset.load(tmp_path)), latest(raw)
    assert kept
    assert kept.items() <= source.items()
    assert {rating for rating, _, _ in kept.values()} == {3.0, 4.0, 5.0}


@pytest.mark.parametrize(("min_rating", "rated"), [(None, False), (0, True)])
def test_a_task_of_ratings_keeps_low_ones_too(
    tmp_path: Path, options: Callable, min_rating: float | None, rated: bool
) -> None:
    raw = raw_data()
    prepare(raw, options(min_rating=min_rating, split={"kind": "random"}), tmp_path, 3)
    wanted = {pair: values for pair, values in latest(raw).items() if values[0] is not None or not rated}
    assert details(Dataset.load(tmp_path)) == wanted
    assert {1.0, 2.0, 5.0} <= {rating for rating, _, _ in wanted.values()}


@pytest.mark.parametrize("kind", KINDS)
def test_details_change_no_split(tmp_path: Path, options: Callable, kind: str) -> None:
    raw = raw_data()
    bare = replace(raw, interactions=raw.interactions.drop(columns="review"))
    chosen = options(min_rating=2, k_core=2, sample_users=15, split={"kind": kind})
    metas = [prepare(source, chosen, tmp_path / name, 5) for source, name in ((raw, "with"), (bare, "without"))]
    assert metas[0]["split_sha256"] == metas[1]["split_sha256"]
    tables = [pq.read_table(tmp_path / name / "interactions.parquet") for name in ("with", "without")]
    assert tables[0].drop_columns("review").equals(tables[1])


def test_equal_rows_but_for_the_review_are_one_whatever_their_order(tmp_path: Path, options: Callable) -> None:
    raw = raw_data(n=60)
    again = raw.interactions.assign(review=[f"again {n}" if n % 2 else None for n in range(60)])
    both = pd.concat([raw.interactions, again], ignore_index=True)
    tables = []
    for place, rows in enumerate((both, both.iloc[::-1].reset_index(drop=True))):
        prepare(replace(raw, interactions=rows), options(), tmp_path / str(place), 0)
        tables.append(pq.read_table(tmp_path / str(place) / "interactions.parquet"))
    assert tables[0].equals(tables[1])
    assert details(Dataset.load(tmp_path / "0")) == latest(replace(raw, interactions=both))


def test_the_source_is_not_held_while_what_was_written_is_read(tmp_path: Path, options: Callable) -> None:
    raw = raw_data()
    frame = raw.interactions.drop(columns="review").assign(
        row=np.arange(len(raw.interactions), dtype=np.int32), written=np.uint32(1)
    )
    held = weakref.ref(frame)

    class Watching:
        def side(self, about: str, ids: np.ndarray) -> SideRows:
            gc.collect()
            assert held() is None
            return SideRows(nothing_known(about), nothing_known(about)[about])

        def reviews(self, rows: np.ndarray) -> Iterator[str | None]:
            return (f"written in row {row}" for row in rows)

    sources = [replace(raw, interactions=frame, later=Watching())]
    del raw, frame
    prepare(sources.pop(), options(), tmp_path, 0)
    written = pq.read_table(tmp_path / "interactions.parquet")["review"].to_pylist()
    assert len(set(written)) == len(written)


def test_reviews_lose_their_markup(tmp_path: Path, options: Callable) -> None:
    raw = raw_data()
    reviews = raw.interactions["review"].str.replace("& more", "&amp; more<br />")
    meta = prepare(replace(raw, interactions=raw.interactions.assign(review=reviews)), options(), tmp_path, 3)
    assert details(Dataset.load(tmp_path)) == latest(raw)
    assert any(note.startswith("interactions: HTML tags and entities removed from review") for note in meta["notes"])


def test_a_prepared_folder_hands_its_details_on(tmp_path: Path, options: Callable) -> None:
    prepare(raw_data(), options(), tmp_path / "first", 3)
    again: DatasetOptions = options("augrec", split={"kind": "given"})
    prepare(read(again, tmp_path / "first"), again, tmp_path / "second", 3)
    tables = [pq.read_table(tmp_path / name / "interactions.parquet") for name in ("first", "second")]
    assert tables[0]["rating"].null_count > 0
    assert tables[0].equals(tables[1])
    assert str(tables[0].schema.field("review").type) == "large_string"


CSV = 'user_id,item_id,stars,text,when\n1,a,4,"Good, twice",10\n1,b,2,,20\n2,a,5, ,30\n2,b,1,"Bad.\nReally.",40\n'
JSON = "\n".join(
    '{{"user_id": "{}", "item_id": "{}", "stars": {}, "text": {}, "when": {}}}'.format(*row)
    for row in (
        ("1", "a", 4, '"Good, twice"', 10),
        ("1", "b", 2, "null", 20),
        ("2", "a", 5, '" "', 30),
        ("2", "b", 1, '"Bad.\\nReally."', 40),
    )
)
REVIEWS = ["Good, twice", None, None, "Bad.\nReally."]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", CSV),
        ("x.jsonl", JSON),
        ("x.jsonl", JSON.replace('"text": "Good, twice"', '"text": ["Good,", "twice"]')),
        ("x.jsonl", JSON.replace('"text": "Good, twice", ', "").replace("Good", "")),
    ],
)
def test_a_table_of_your_own_names_its_reviews(read_files: Callable, name: str, content: str) -> None:
    table = {"interactions": name, "rating": "stars", "timestamp": "when", "review": "text"}
    rows = read_files("table", {name: content}, table).interactions
    assert rows["rating"].tolist() == [4, 2, 5, 1]
    wanted = REVIEWS if "Good" in content else [None, *REVIEWS[1:]]
    assert [text if isinstance(text, str) else None for text in rows["review"]] == wanted
    del table["review"]
    assert "review" not in read_files("table", {name: content}, table).interactions


def test_a_parquet_table_names_its_reviews(tmp_path: Path, options: Callable) -> None:
    frame = pd.DataFrame({"user_id": [1, 1], "item_id": ["a", "b"], "text": ["Good", None]})
    frame.to_parquet(tmp_path / "x.parquet")
    chosen = options("table", {"interactions": "x.parquet", "review": "text"})
    reviews = read(chosen, tmp_path).interactions["review"]
    assert reviews.iloc[0] == "Good"
    assert pd.isna(reviews.iloc[1])


def test_recbole_reviews_are_found_by_their_name(read_files: Callable) -> None:
    header = "user_id:token\titem_id:token\trating:float\treview:token_seq\n"
    lines = '1\ta\t4\t"So ""good"" it is"\n1\tb\t2\t\n'
    rows = read_files("recbole", {"x.inter": header + lines}).interactions
    assert rows["review"].iloc[0] == 'So "good" it is'
    assert pd.isna(rows["review"].iloc[1])


def test_equal_times_follow_the_file_where_it_is_asked_for(tmp_path: Path, options: Callable) -> None:
    raw = raw_data(5)
    raw.interactions["timestamp"] = 7
    raw.interactions["rating"] = 5.0
    once = raw.interactions.drop_duplicates(["user", "item"])
    raw = replace(raw, interactions=once.sample(frac=1.0, random_state=1).reset_index(drop=True))
    last = raw.interactions.groupby("user")["item"].last().to_dict()
    chosen = options(k_core=0, split={"kind": "leave_last_out", "ties": "file"})
    prepare(raw, chosen, tmp_path / "dataset", 4)
    dataset = Dataset.load(tmp_path / "dataset")
    names = {about: getattr(dataset, f"{about}s")["source_id"].to_pylist() for about in ("user", "item")}
    found = {names["user"][user]: names["item"][item] for user, item in dataset.pairs("test").tolist()}
    assert found == last
