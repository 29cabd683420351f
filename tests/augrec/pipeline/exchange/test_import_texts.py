"""Texts that somebody has already: a table of them, imported, replayed by a run, and matched by the source's ids."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import read_json
from augrec.artefacts.records import read_records
from augrec.pipeline.audit import audit_run
from augrec.pipeline.exchange.import_texts import UNPROVED, TextTable, import_texts
from embed.records import texts_of_source
from recsys.data.dataset import Dataset
from tests.kit.toy_config import toy_config
from tests.kit.toy_data import write_toy_data
from tests.kit.toy_run import advance, open_run

REPLAYED = "generation: {shards: 2, sources: {own: {engine: {kind: replay}, tasks: [user_profile, item_profile]}}}"


def lines(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_texts_of_two_tables_reach_the_users_and_items_they_name(tmp_path: Path) -> None:
    users = lines(tmp_path / "profiles.jsonl", [{"who": f"{u}", "profile": f"Reader {u}."} for u in range(39, 0, -1)])
    items = tmp_path / "blurbs.csv"
    blurbs = ["", *(f"Blurb, number {i}" for i in range(1, 30)), "nan", "nan"]  # the last are of no item of the data
    pd.DataFrame({"item": range(32), "text": blurbs}).to_csv(items)
    tables = {"user": TextTable(users, "who", "profile"), "item": TextTable(items, "item")}
    said = import_texts(tmp_path / "own", tables, "my model")  # type: ignore[arg-type]
    assert said["counts"] == {"texts of users": 39, "texts of items": 29, "items without a text": 3}
    notes = [(note["what"], note["count"]) for note in said["notes"]]
    assert notes == [("2 values of profile read 'nan' or the like: missing", 1), (UNPROVED, 39)]

    data = write_toy_data(tmp_path / "data")
    sources = {"generation": {"sources": {"own": {"engine": {"records": str(tmp_path / "own")}}}}}
    run = open_run(tmp_path, toy_config(data, REPLAYED, sources, {"embedding": {"model": "tfidf"}}))
    advance(run, "prepare", "candidates", "augment")
    here = Dataset.load(run.files.dataset)
    texts = texts_of_source(
        run.folder / "augment" / "own", here.n_users, here.n_items, ("user_profile", "item_profile")
    )
    called = {about: getattr(here, f"{about}s")["source_id"].to_pylist() for about in ("user", "item")}
    found = {about: dict(zip(called[about], texts[f"{about}_profile"].texts, strict=True)) for about in called}
    assert {u: text for u, text in found["user"].items() if text} == {
        u: f"Reader {u}." for u in called["user"] if u != "0"
    }
    assert {i: text for i, text in found["item"].items() if text} == {
        i: f"Blurb, number {i}" for i in called["item"] if i != "0"
    }
    records = read_records(run.folder / "augment" / "own" / "user_profile" / "records.parquet")
    reasons = {called["user"][entity]: record.reason for entity, record in zip(records.entities, records, strict=True)}
    assert str(reasons["0"]).startswith("unknown_to_source")
    assert read_json(run.folder / "augment" / "own" / "engine.json")["model"] == "my model"
    assert audit_run(run.folder).violations == 0

    lines(users, [{"who": f"reader-{u}", "profile": "Reads."} for u in range(40)])
    import_texts(tmp_path / "own", tables)  # type: ignore[arg-type]
    with pytest.raises(AugrecError, match="name no user of this data set"):
        advance(run, "augment")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"user": "1", "text": "a"}, {"user": "1", "text": "b"}], "user '1' has more than one row"),
        ([{"user": "1", "texts": "a"}], "did you mean 'texts'? name the column with --user-text"),
        ([{"uid": "1", "text": "a"}], "name the column with --user-id; there are: uid, text"),
        ([{"user": "1", "text": " "}], "no row has a text in the column 'text'"),
        ([{"user": "", "text": "a"}], "expected an id"),
    ],
)
def test_a_table_that_says_too_little_is_refused(tmp_path: Path, rows: list[dict[str, object]], expected: str) -> None:
    path = lines(tmp_path / "texts.jsonl", [*rows, {name: " " if "text" in name else "2" for name in rows[0]}])
    with pytest.raises(AugrecError) as refused:
        import_texts(tmp_path / "out", {"user": TextTable(path, "user")})
    assert expected in f"{refused.value.what} {refused.value.remedy}"
    assert not (tmp_path / "out").exists()


def test_an_import_of_something_else_is_not_mixed_with_it(tmp_path: Path) -> None:
    path = lines(tmp_path / "texts.jsonl", [{"user": u, "item": u, "text": "a"} for u in "12"])
    first = import_texts(tmp_path / "out", {"user": TextTable(path, "user")})
    assert import_texts(tmp_path / "out", {"user": TextTable(path, "user")}) == first
    with pytest.raises(AugrecError, match="something else"):
        import_texts(tmp_path / "out", {"item": TextTable(path, "item")})
    with pytest.raises(AugrecError, match="no file of texts"):
        import_texts(tmp_path / "other", {})
