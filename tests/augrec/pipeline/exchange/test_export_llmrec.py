"""What is exported is read back the same, by our reader and by the steps of the authors' own code."""

from __future__ import annotations

import csv
import json
import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp

from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.files import read_json
from augrec.artefacts.matrices import read_field
from augrec.pipeline.exchange.export_llmrec import export_llmrec
from augrec.pipeline.exchange.import_llmrec import import_llmrec
from augrec.pipeline.exchange.pickles import write_vectors
from embed.records import texts_of_source
from recsys.data.dataset import Dataset
from recsys.data.released.unpickle import load

GOLDEN = Path(__file__).parents[3] / "golden" / "llmrec" / "release"


def unpickled(path: Path) -> Any:
    return pickle.loads(path.read_bytes())


def edges(run: Path, source: str) -> dict[int, tuple[int, int]]:
    rows = pq.read_table(run / "augment" / source / "edges" / "records.parquet").to_pylist()
    told = {row["entity"]: json.loads(row["fields"]) for row in rows if row["status"] == "ok"}
    return {user: (fields["positive"], fields["negative"]) for user, fields in told.items()}


def splits(run: Path) -> list[list[list[int]]]:
    dataset = Dataset.load(run / "dataset")
    return [dataset.pairs(name).tolist() for name in ("train", "valid", "test")]


def texts(run: Path, source: str) -> dict[str, list[str | None]]:
    dataset = Dataset.load(run / "dataset")
    tasks = ("edges", "user_profile", "item_attributes")
    found = texts_of_source(run / "augment" / source, dataset.n_users, dataset.n_items, tasks)
    return {field: told.texts for field, told in found.items()}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("published") / "out"
    import_llmrec(GOLDEN, out)
    return out


def test_import_export_import(published: Path, tmp_path: Path) -> None:
    export_llmrec(published, tmp_path / "release")
    again = tmp_path / "again"
    import_llmrec(tmp_path / "release", again)
    assert splits(again) == splits(published)
    assert edges(again, "published") == edges(published, "published")
    assert texts(again, "published") == texts(published, "published")
    matrices = sorted(path.relative_to(published) for path in published.glob("embed/*/*.npy"))
    assert len(matrices) == 8
    for path in matrices:
        stem = path.with_suffix("")
        np.testing.assert_array_equal(read_field(again / stem)[0], read_field(published / stem)[0])
    for name in ("dataset/items.parquet", "candidates/candidates.parquet"):
        assert pq.read_table(again / name).equals(pq.read_table(published / name))


def test_titles_that_are_formulas_are_text_and_come_back(tmp_path: Path) -> None:
    release = shutil.copytree(GOLDEN, tmp_path / "golden")
    titles = ["=cmd|'/c calc'!A0", "-30-", "+1", "@SUM(A1)", "'Round Midnight", "\t=1"]
    for path in release.glob("item_attribute*.csv"):
        rows = list(csv.reader(path.read_text().splitlines()))
        for row, title in zip(rows, titles, strict=False):
            row[2] = title
        with path.open("w", newline="") as out:
            csv.writer(out).writerows(rows)
    import_llmrec(release, tmp_path / "in")
    before = Dataset.load(tmp_path / "in" / "dataset").items["title"].to_pylist()
    assert before[: len(titles)] == [title.strip() for title in titles]
    export_llmrec(tmp_path / "in", tmp_path / "out")
    files = sorted((tmp_path / "out").glob("*.csv"))
    assert len(files) == 3
    cells = [cell for path in files for row in csv.reader(path.read_text().splitlines()) for cell in row]
    assert not [cell for cell in cells if re.match(r"[=@\t]|[+-](?!\d+$)", cell)]
    import_llmrec(tmp_path / "out", tmp_path / "again")
    assert Dataset.load(tmp_path / "again" / "dataset").items["title"].to_pylist() == before


def test_a_run_of_ours(finished_run: Path, tmp_path: Path) -> None:
    written = export_llmrec(finished_run, tmp_path / "release", zero_image=True)
    again = tmp_path / "again"
    import_llmrec(tmp_path / "release", again)
    assert splits(again) == splits(finished_run)
    assert edges(again, "published") == edges(finished_run, "rule")
    assert texts(again, "published")["user_profile"] == texts(finished_run, "rule")["user_profile"]
    stem = Path("embed")
    pairs = {
        stem / "published" / "user_profile": stem / "rule" / "user_profile",
        stem / "published" / "title": stem / "data" / "title",
        stem / "published" / "year": stem / "data" / "year",
        stem / "features" / "text": stem / "data" / "text",
    }
    for there, here in pairs.items():
        found, about = read_field(again / there)
        expected, given = read_field(finished_run / here)
        np.testing.assert_array_equal(found, expected)
        assert about["missing"] == given["missing"]
    assert written["attributes"] == ["year", "title", "director", "country", "language"]
    said = {note["file"]: note["count"] for note in written["notes"]}
    items = Dataset.load(finished_run / "dataset").n_items
    assert said["augmented_atttribute_embedding_dict[director]"] == items  # the rule knows no directors
    assert said["image_feat.npy"] == items


def test_the_authors_own_steps(finished_run: Path, tmp_path: Path) -> None:
    """Their loader stacks by position, looks users up without asking, and knows its attributes by name."""
    release = tmp_path / "release"
    export_llmrec(finished_run, release, zero_image=True)
    train = json.loads((release / "train.json").read_text())
    n_users = 1 + max(int(user) for user, items in train.items() if items)
    text = np.load(release / "text_feat.npy")
    graph = unpickled(release / "train_mat")
    assert isinstance(graph, sp.spmatrix)
    assert graph.shape == (n_users, len(text))
    assert {u: sorted(items) for u, items in train.items()} == {
        str(u): graph[u].nonzero()[1].tolist() for u in range(n_users)
    }
    profiles = unpickled(release / "augmented_user_init_embedding")
    assert np.array([profiles[user] for user in range(len(profiles))]).shape[0] == n_users
    total: dict[str, Any] = {name: [] for name in ("year", "title", "director", "country", "language")}
    table = unpickled(release / "augmented_atttribute_embedding_dict")
    for name in table:
        total[name] += [table[name][item] for item in range(len(table[name]))]
    assert {np.array(rows).shape for rows in total.values()} == {(len(text), len(table["title"][0]))}
    samples = unpickled(release / "augmented_sample_dict")
    assert all(type(samples[user][side]) is int for user in range(n_users) for side in (0, 1))
    candidates = unpickled(release / "candidate_indices")
    assert tuple(candidates.shape) == (n_users, 5)


def test_users_without_an_edge_are_dropped_by_the_trainer(run_copy: Path, tmp_path: Path) -> None:
    path = run_copy / "augment" / "rule" / "edges" / "records.parquet"
    table = pq.read_table(path)
    pq.write_table(table.slice(2), path)
    lost = table["entity"].to_pylist()[:2]
    written = export_llmrec(run_copy, tmp_path / "release")
    samples = unpickled(tmp_path / "release" / "augmented_sample_dict")
    items = Dataset.load(run_copy / "dataset").n_items
    assert [samples[user] for user in lost] == [{0: items, 1: items}] * 2
    assert {"file": "augmented_sample_dict", "count": 2} in [
        {"file": note["file"], "count": note["count"]} for note in written["notes"]
    ]
    assert "image_feat.npy" not in written["files"]
    assert any("--zero-image" in note["what"] for note in written["notes"])


def test_vectors_are_written_row_by_row(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    given = {"título": rng.normal(size=(3, 2500)).astype(np.float32), "b": np.zeros((0, 4), np.float32)}
    write_vectors(tmp_path / "file", given.items())
    found = unpickled(tmp_path / "file")
    assert list(found) == ["título", "b"]
    assert list(found["título"]) == [0, 1, 2]
    assert all(type(number) is float for number in found["título"][0])
    np.testing.assert_array_equal(np.array(list(found["título"].values()), np.float32), given["título"])
    parts = load(tmp_path / "file")["título"][1]
    np.testing.assert_array_equal(np.concatenate([np.ravel(part) for part in parts]), given["título"][1])


def test_which_source(published: Path, tmp_path: Path) -> None:
    run = shutil.copytree(published, tmp_path / "run")
    with pytest.raises(UsageError, match="no source 'x'"):
        export_llmrec(run, tmp_path / "release", "x")
    shutil.copytree(run / "augment" / "published", run / "augment" / "second")
    with pytest.raises(UsageError, match="published, second"):
        export_llmrec(run, tmp_path / "release")
    export_llmrec(run, tmp_path / "release", "published")
    assert read_json(tmp_path / "release" / "export.json")["source"] == "published"


def test_what_cannot_be_exported(published: Path, tmp_path: Path) -> None:
    run = shutil.copytree(published, tmp_path / "run")
    with pytest.raises(UsageError, match="something else"):
        export_llmrec(run, run)
    (run / "embed" / "features" / "text.npy").unlink()
    with pytest.raises(DataError, match="no text features"):
        export_llmrec(run, tmp_path / "release")
