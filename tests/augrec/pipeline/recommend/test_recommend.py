"""Lists of a finished run: those that its evaluation judged, by the source's ids; newcomers where the model can."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from augrec.artefacts.errors import AugrecError, DataError, UsageError
from augrec.artefacts.run_folder import RunFolder
from augrec.cli import app
from augrec.pipeline.recommend import lists
from augrec.pipeline.recommend.run import Recommended, recommend
from tests.kit.toy_config import toy_config
from tests.kit.toy_run import advance, finished_config, open_run

CONFIG = """
models:
  ease: {family: ease}
  graph: {family: lightgcn, dim: 8, layers: 1}
  texts: {family: alpharec, dim: 8, hidden: 8, layers: 1}
  cosine: {family: text_cosine, user: history}
  blend: {family: blend, members: {ease: {family: ease}, popular: {family: popularity}}, steps: 2}
  tuned: {family: tuned, model: {family: item_knn}, space: {shrink: [0.0, 10.0]}}
seeds: [1]
variants:
  ease: {model: ease}
  graph: {model: graph}
  texts: {model: texts}
  cosine: {model: cosine}
  blend: {model: blend}
  tuned: {model: tuned}
  popular: {model: popular}
  shuffled: {model: texts, source: rule, change: {user_profile: shuffled}}
report: {baseline: ease}
"""
VARIANTS = ("ease", "graph", "texts", "cosine", "blend", "tuned", "popular")
ITEMS = 30
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of which every variant has one training, over the stages of the finished one."""
    root = tmp_path_factory.mktemp("recommend")
    shutil.copytree(finished_run, root / "run", ignore=shutil.ignore_patterns("train", "report"))
    whole = finished_config(finished_run.parent / "data") | {"variants": {}}
    run = open_run(root, toy_config(finished_run.parent / "data", whole, CONFIG))
    advance(run, "train")
    return run.folder


def table_of(done: Recommended) -> pd.DataFrame:
    return pq.read_table(done.path).to_pandas()


def held_out(run: Path, split: str = "test") -> dict[str, dict[str, float]]:
    """user -> item -> rating, by the source's ids, read without the code under test."""
    rows = pd.read_parquet(RunFolder(run).interactions)
    rows = rows[rows["split"] == split]
    users, items = (pd.read_parquet(path)["source_id"] for path in (RunFolder(run).users, RunFolder(run).items))
    found: dict[str, dict[str, float]] = {}
    for row in rows.itertuples():
        found.setdefault(users[row.user], {})[items[row.item]] = row.rating
    return found


@pytest.mark.parametrize("name", VARIANTS)
def test_lists_are_those_that_the_evaluation_judged(name: str, run: Path, tmp_path: Path) -> None:
    """What was stored for each user follows from the list alone."""
    listed = table_of(recommend(run, variant=name, k=10, out=tmp_path / "lists.parquet"))
    truth, known = held_out(run), held_out(run, "train")
    stored = pd.read_parquet(RunFolder(run).training(name, 1).per_user)
    users = pd.read_parquet(RunFolder(run).users)["source_id"]
    recall = dict(zip(users[stored["user"]], stored["recall@10"], strict=True))
    assert set(listed["user"]) == set(users)
    for user, rows in listed.groupby("user"):
        assert rows["rank"].tolist() == [*range(1, 11)]
        assert rows["score"].is_monotonic_decreasing
        assert not set(rows["item"]) & set(known[user])
        if user in truth:
            assert len(set(rows["item"]) & set(truth[user])) / len(truth[user]) == pytest.approx(recall[user])


def test_blocks_of_users_hold_a_part_and_give_the_same(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = table_of(recommend(run, variant="graph", out=tmp_path / "whole.parquet"))
    sizes: list[int] = []
    inner = lists.recommended

    def by_seven(*given: Any, **named: Any) -> Any:
        for users, top in inner(*given, **(named | {"chunk": 7})):
            sizes.append(len(users))
            yield users, top

    monkeypatch.setattr(lists, "recommended", by_seven)
    parts = table_of(recommend(run, variant="graph", out=tmp_path / "parts.parquet"))
    pd.testing.assert_frame_equal(parts, whole)
    assert sizes == [7, 7, 7, 7, 7, 5]
    assert pq.ParquetFile(tmp_path / "parts.parquet").num_row_groups == len(sizes)


def test_formats_say_the_same_and_titles_stand_beside_ids(run: Path, tmp_path: Path) -> None:
    users = tmp_path / "users.txt"
    users.write_text("7\n\n3\n\n")
    parquet, csv, lines = (
        recommend(run, variant="ease", k=3, users=users, out=tmp_path / f"lists.{form}").path
        for form in ("parquet", "csv", "jsonl")
    )
    rows = pq.read_table(parquet).to_pylist()
    assert [row["user"] for row in rows] == ["7"] * 3 + ["3"] * 3
    assert all(row["title"] == f"Film {row['item']}" for row in rows)
    assert [json.loads(line) for line in lines.read_text().splitlines()] == rows
    read = pd.read_csv(csv, dtype={"user": str, "item": str})
    assert read.columns.tolist() == [*rows[0]]
    assert read[["user", "rank", "item"]].to_dict("records") == [
        {name: row[name] for name in ("user", "rank", "item")} for row in rows
    ]


def test_what_a_user_has_is_left_out_up_to_a_split(run: Path, tmp_path: Path) -> None:
    splits = {name: held_out(run, name) for name in ("train", "valid", "test")}
    met: dict[str, set[str]] = {}
    for exclude in ("train", "valid", "test"):
        done = recommend(run, variant="popular", k=ITEMS, exclude=exclude, out=tmp_path / f"{exclude}.parquet")
        listed = table_of(done)
        met[exclude] = {
            name
            for name, known in splits.items()
            if any(item in known.get(user, {}) for user, item in zip(listed["user"], listed["item"], strict=True))
        }
    assert met == {"train": {"valid", "test"}, "valid": {"test"}, "test": set()}


@pytest.mark.parametrize("name", ["ease", "cosine", "blend", "tuned", "popular"])
def test_a_new_user_with_the_history_of_another_gets_the_same_scores(name: str, run: Path, tmp_path: Path) -> None:
    users = tmp_path / "users.csv"
    told = [*held_out(run, "train")["5"]]
    users.write_text("user,item\n" + "".join(f"new,{item}\n" for item in told) + "new,unheard\n")
    done = recommend(run, variant=name, k=ITEMS, users=users, exclude="train", out=tmp_path / "new.parquet")
    assert any("1 of" in note and "do not know" in note for note in done.notes)
    new = table_of(done)
    assert set(new["user"]) == {"new"}
    old = table_of(recommend(run, variant=name, k=ITEMS, exclude="train", out=tmp_path / "old.parquet"))
    both = new.merge(old[old["user"] == "5"], on="item", suffixes=("", "_old"))
    assert len(both) == len(new) == (old["user"] == "5").sum()
    np.testing.assert_allclose(both["score"], both["score_old"], rtol=1e-4, atol=1e-5)


def test_what_a_known_user_did_since_joins_its_history(run: Path, tmp_path: Path) -> None:
    users = tmp_path / "users.csv"
    later = next(iter(held_out(run)["5"]))
    users.write_text(f"user,item\n5,{later}\n")
    listed = table_of(recommend(run, variant="ease", k=ITEMS, users=users, out=tmp_path / "lists.parquet"))
    assert set(listed["user"]) == {"5"}
    assert later not in set(listed["item"])


@pytest.mark.parametrize("name", ["graph", "texts"])
def test_a_model_that_knows_no_new_users_says_so_by_name(name: str, run: Path, tmp_path: Path) -> None:
    users = tmp_path / "users.csv"
    users.write_text("user,item\nnew,3\n")
    with pytest.raises(UsageError, match=rf"{name}, of the family \w+, knows no new users") as caught:
        recommend(run, variant=name, users=users, out=tmp_path / "lists.parquet")
    assert "EASE" in (caught.value.remedy or "")
    assert [path.name for path in tmp_path.iterdir()] == ["users.csv"]


@pytest.mark.parametrize("name", ["texts", "cosine"])
def test_a_new_item_is_listed_by_its_text(name: str, run: Path, tmp_path: Path) -> None:
    """One that reads like a known one has its score where nothing but the text decides."""
    items = tmp_path / "items.csv"
    known = pd.read_parquet(RunFolder(run).items).set_index("source_id").loc["9"]
    items.write_text(f"item,title,year,genres\nnew,{known['title']},{known['year']},{'|'.join(known['genres'])}\n")
    listed = table_of(recommend(run, variant=name, k=ITEMS, new_items=items, out=tmp_path / "lists.parquet"))
    new = listed[listed["item"] == "new"].set_index("user")["score"]
    assert len(new) == listed["user"].nunique()
    assert set(listed.loc[listed["item"] == "new", "title"]) == {known["title"]}
    if name == "cosine":
        old = listed[listed["item"] == "9"].set_index("user")["score"]
        assert len(old)
        np.testing.assert_allclose(new[old.index], old, atol=1e-5)


def test_new_items_are_refused_by_what_stands_in_the_way(run: Path, tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("item,title,year\nnew,A film,1999\n")
    with pytest.raises(UsageError, match="ease, of the family ease, knows no new items"):
        recommend(run, variant="ease", new_items=items, out=tmp_path / "lists.parquet")
    items.write_text("item,title\nnew,\n")
    with pytest.raises(DataError, match="'new' has no text"):
        recommend(run, variant="cosine", new_items=items, out=tmp_path / "lists.parquet")


@pytest.mark.parametrize(
    ("content", "named", "message"),
    [
        ("user,item\n", "users", "no rows"),
        ("person\n7\n", "users", "no column 'user'"),
        ("user\nnobody\n", "users", "know no user 'nobody'"),
        ("user,item\nnew,unheard\n", "users", "none of its rows"),
        ("item,title\n3,A film\n", "new_items", "'3' is in the run already"),
        ("item,titel\nx,A film\n", "new_items", "no column 'titel'"),
    ],
)
def test_files_that_are_wrong_are_named(content: str, named: str, message: str, run: Path, tmp_path: Path) -> None:
    path = tmp_path / "given.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        recommend(run, variant="ease", out=tmp_path / "lists.parquet", **{named: path})  # type: ignore[arg-type]
    assert "given.csv" in str(caught.value)


def test_the_best_on_validation_that_is_no_control_is_taken_and_said(run: Path) -> None:
    valid = {
        name: json.loads(RunFolder(run).training(name, 1).metrics.read_text())["valid"]["recall@10"]
        for name in VARIANTS
    }
    said = CliRunner().invoke(app, ["recommend", str(run), "--k", "2", "--format", "csv", "--json"])
    assert said.exit_code == 0, said.output
    answer = json.loads(said.stdout)["answer"]
    assert valid[answer["variant"]] == max(valid.values())
    assert answer["why"].startswith(f"best of {len(valid)} on validation")
    written = RunFolder(run).recommendations(f"{answer['variant']}-seed-1.csv")
    assert answer["file"] == str(written.absolute())
    assert len(written.read_text().splitlines()) == 1 + answer["rows"] == 1 + 2 * answer["users"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"variant": "eese"}, "did you mean 'ease'"),
        ({"variant": "ease", "seed": 9}, "no finished training with seed 9"),
        ({"form": "xml"}, "no format 'xml'"),
        ({"form": "csv", "out": Path("lists.parquet")}, r"ends in \.parquet"),
        ({"k": 0}, "lists of 0 items"),
    ],
)
def test_what_is_not_there_is_named(given: dict[str, Any], message: str, run: Path) -> None:
    with pytest.raises(AugrecError, match=message):
        recommend(run, **given)


def test_a_run_one_may_only_read_needs_another_place_to_write_to(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write everywhere, so the system's answer is played."""
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != run)
    with pytest.raises(UsageError, match="--out FILE"):
        recommend(run, variant="ease")
    assert recommend(run, variant="ease", k=1, out=tmp_path / "lists.csv").path.exists()


def test_a_run_that_was_never_answered_says_which_stage_is_missing(run: Path, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    shutil.copytree(run, begun, ignore=shutil.ignore_patterns("augment", "embed", "train"))
    with pytest.raises(DataError, match="the stage 'augment' has not finished"):
        recommend(begun)
