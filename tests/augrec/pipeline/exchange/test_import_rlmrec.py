"""RLMRec's layout becomes a given split and records of prose."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp

from augment.catalog import Catalog
from augment.options import GenerationOptions
from augment.runner import run_source
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json
from augrec.artefacts.records import read_records
from augrec.pipeline.exchange.import_rlmrec import import_rlmrec
from augrec.report.pages.edges import read_edge_worths
from embed.records import FieldTexts, texts_of_source
from recsys.data.dataset import Dataset

REASONS = {("usr", 2): "He bought five books on war.", ("itm", 1): "None", ("itm", 3): 7}
PAIRS = {"trn": [(0, 1), (0, 2), (1, 0), (2, 3)], "val": [(0, 3), (1, 1)], "tst": [(2, 0)]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "amazon"
    folder.mkdir()
    for name, pairs in PAIRS.items():
        rows, columns = np.array(pairs).T
        matrix = sp.coo_matrix((np.ones(len(pairs)), (rows, columns)), shape=(3, 4))
        (folder / f"{name}_mat.pkl").write_bytes(pickle.dumps(matrix))
    users = {2: "Likes war.", 0: "Likes cats", 1: "None"}
    items = {3: "About war.", 1: "About cats."}
    for name, texts in (("usr", users), ("itm", items)):
        table = {key: {"profile": text, "reasoning": REASONS.get((name, key), " ")} for key, text in texts.items()}
        (folder / f"{name}_prf.pkl").write_bytes(pickle.dumps(table))
    (folder / "user_mapper.jsonl").write_text('{"uid": 1, "reviewerID": "B"}\n{"uid": 0, "reviewerID": "A"}\n')
    return folder


def test_everything_arrives(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    written = import_rlmrec(folder, out)
    dataset = Dataset.load(out / "dataset")
    assert (dataset.train.tolist(), dataset.test.tolist()) == ([list(pair) for pair in PAIRS["trn"]], [[2, 0]])
    assert dataset.users["original_id"].to_pylist() == ["A", "B", None]
    texts = texts_of_source(out / "augment" / "published", 3, 4, ("user_profile", "item_profile"))
    assert texts == {
        "user_profile": FieldTexts("user_profile", "user", ["Likes cats", None, "Likes war."]),
        "item_profile": FieldTexts("item_profile", "item", [None, "About cats.", None, "About war."]),
    }
    found: dict[tuple[str, str], int] = {(e["file"], e["what"]): e["count"] for e in written["faults"]}
    assert found == {
        ("usr_prf.pkl", "users have no profile"): 1,
        ("itm_prf.pkl", "items have no profile"): 2,
        ("user_mapper.jsonl", "users have no id of the source"): 1,
    }
    assert [entry["file"] for entry in written["notes"]] == ["item_mapper.jsonl"]
    assert set(read_json(out / "import.json")["files"]) == {
        "trn_mat.pkl", "val_mat.pkl", "tst_mat.pkl", "usr_prf.pkl", "itm_prf.pkl", "user_mapper.jsonl",
    }  # fmt: skip


def test_published_reasons_are_kept_and_not_embedded(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    import_rlmrec(folder, out)
    fields = {
        (record.task, record.entity): record.fields
        for task in ("user_profile", "item_profile")
        for record in read_records(out / "augment" / "published" / task / "records.parquet").answered()
    }
    assert fields == {
        ("user_profile", 0): {"profile": "Likes cats"},
        ("user_profile", 2): {"profile": "Likes war.", "reasoning": "He bought five books on war."},
        ("item_profile", 1): {"profile": "About cats."},
        ("item_profile", 3): {"profile": "About war."},
    }


def test_texts_are_replayed_where_items_have_no_titles(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    import_rlmrec(folder, out)
    engine: dict[str, Any] = {"kind": "replay", "records": out}
    tasks = ["user_profile", "item_profile"]
    generation = GenerationOptions.model_validate({"sources": {"gpt35": {"engine": engine, "tasks": tasks}}})
    run_source(
        Catalog.load(out / "dataset"), "gpt35", generation.sources["gpt35"], generation,
        folder=tmp_path / "replayed", seed=0,
    )  # fmt: skip
    for task in tasks:
        there = pq.read_table(out / "augment" / "published" / task / "records.parquet").to_pylist()
        here = pq.read_table(tmp_path / "replayed" / task / "records.parquet").to_pylist()
        assert [row | {"key": ""} for row in here] == [row | {"key": ""} for row in there]


@pytest.mark.parametrize("line", ['{"uid": 0}', "[]", '{"uid": 7, "x": "y"}', "{"])
def test_a_broken_mapper_is_named(folder: Path, tmp_path: Path, line: str) -> None:
    (folder / "user_mapper.jsonl").write_text(json.dumps({"uid": 0, "x": "a"}) + "\n" + line + "\n")
    with pytest.raises(DataError, match=r"(?s)user_mapper.jsonl, line 2.*mapper of the same release"):
        import_rlmrec(folder, tmp_path / "out")


def test_a_mapper_has_the_letters_of_its_release(folder: Path, tmp_path: Path) -> None:
    """A name may hold what Python takes for the end of a line; what is no UTF-8 is named by its line."""
    path = folder / "user_mapper.jsonl"
    path.write_text('{"uid": 1, "x": "B\u2028C"}\n', encoding="utf-8")
    import_rlmrec(folder, tmp_path / "out")
    assert Dataset.load(tmp_path / "out" / "dataset").users["original_id"].to_pylist() == [None, "B\u2028C", None]
    path.write_bytes(path.read_bytes() + b'{"uid": 0, "x": "Caf\xe9"}\n')
    with pytest.raises(DataError, match=r"user_mapper.jsonl, line 2"):
        import_rlmrec(folder, tmp_path / "other")


def with_added(folder: Path, pairs: list[tuple[int, int]], name: str = "other_trn_rag_mat.pkl") -> Path:
    rows, columns = np.array(pairs).T
    matrix = sp.coo_matrix((np.ones(len(pairs)), (rows, columns)), shape=(3, 4))
    (folder / name).write_bytes(pickle.dumps(matrix))
    return folder


def test_edges_that_an_llm_added_to_training_become_records(folder: Path, tmp_path: Path) -> None:
    added = [(0, 3), (1, 1), (1, 2), (2, 0)]
    written = import_rlmrec(with_added(folder, [*PAIRS["trn"][1:], *added]), tmp_path / "out")
    records = list(read_records(tmp_path / "out" / "augment" / "published" / "added_edges" / "records.parquet"))
    assert [(record.entity, (record.fields or {})["item"]) for record in records] == added
    assert len({(record.entity, record.question) for record in records}) == len({r.key for r in records}) == 4
    assert written["counts"]["added_edges"] == 4
    said = {(e["what"], e["count"]) for kind in ("faults", "notes") for e in written[kind] if "rag" in e["file"]}
    assert said == {
        ("training interactions are missing from it; training is as trn_mat.pkl says", 1),
        ("added edges are valid interactions", 2),
        ("added edges are test interactions", 1),
    }
    (worth,) = read_edge_worths(written)
    assert (worth.task, worth.users, worth.edges, worth.known, worth.right) == ("added_edges", 3, 4, 0, 2)
    assert worth.precision.mean == 0.5
    assert worth.random.mean is None
    assert "other_trn_rag_mat.pkl" in written["files"]


def test_added_edges_of_other_data_or_of_two_systems_are_refused(folder: Path, tmp_path: Path) -> None:
    with_added(folder, [(0, 3)], "a_trn_rag_mat.pkl")
    with_added(folder, [(0, 3)], "b_trn_rag_mat.pkl")
    with pytest.raises(DataError, match=r"2 files of training with suggested edges: a_trn_rag_mat.pkl, b_trn"):
        import_rlmrec(folder, tmp_path / "out")
    (folder / "b_trn_rag_mat.pkl").unlink()
    (folder / "a_trn_rag_mat.pkl").write_bytes(pickle.dumps(sp.coo_matrix(np.ones((3, 5)))))
    with pytest.raises(DataError, match=r"(?s)the matrix is 3 x 5 and trn_mat.pkl is 3 x 4.*a_trn_rag_mat.pkl"):
        import_rlmrec(folder, tmp_path / "out")
