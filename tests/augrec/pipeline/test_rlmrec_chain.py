"""RLMRec's chain without a language model: profiles of items, of users from those, vectors, alignment and controls."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from augrec.artefacts.records import read_records
from augrec.pipeline.audit import audit_run
from augrec.pipeline.config.run_config import Config
from augrec.pipeline.side.side_information import side_information
from recsys.data.dataset import Dataset
from tests.kit.toy_config import EMBEDDING, toy_config
from tests.kit.toy_data import write_toy_data
from tests.kit.toy_run import advance, open_run

pytestmark = pytest.mark.slow

SECTIONS = """
generation:
  shards: 2
  tasks: {user_profile: {style: reasoned, items: 3}}
  sources:
    rule: {engine: {kind: heuristic, terms: 3}, tasks: [item_profile, user_profile]}
    history: {engine: {kind: heuristic, rule: tfidf}, tasks: [item_profile, user_profile]}
models:
  con-aligned: {family: lightgcn, dim: 8, layers: 1, aligner: {kind: con}}
variants:
  con-aligned: {model: con-aligned, source: rule}
  shuffled: {model: con-aligned, source: rule, change: {item_profile: shuffled, user_profile: shuffled}}
  items: {model: con-aligned, source: rule, change: {item_profile: shuffled}}
report: {secondary: [ndcg@10]}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, embedder: str) -> tuple[Path, Config]:
    root = tmp_path_factory.mktemp("rlmrec")
    run = open_run(root, toy_config(write_toy_data(root / "data"), EMBEDDING, SECTIONS))
    advance(run)
    return run.folder, run.config


def test_the_chain_is_trained_and_audited(finished: tuple[Path, Config]) -> None:
    folder, _ = finished
    assert len(list(folder.glob("train/*/*/metrics.json"))) == 4
    audit = audit_run(folder)
    assert audit.violations == 0
    names = {check.name for check in audit.checks}
    assert {
        "rule user_profile: the answers it quotes are there",
        "rule user_profile: prompts show training history only",
        "embedding rule/item_profile",
        "embedding rule/user_profile",
    } <= names
    assert "history user_profile: the answers it quotes are there" not in names, "terms of a history quote nobody"


def test_users_are_told_by_the_terms_of_three_of_their_items(finished: tuple[Path, Config]) -> None:
    folder, _ = finished
    items = read_records(folder / "augment" / "rule" / "item_profile" / "records.parquet").by_entity()
    for user in read_records(folder / "augment" / "rule" / "user_profile" / "records.parquet").answered():
        assert len(user.shown_history) == 3
        told = " ".join(json.dumps(items[item][0].fields) for item in user.shown_history)
        assert all(term in told for term in (user.fields or {})["profile"].split(", "))


def test_profiles_are_shuffled_within_users_and_within_items(finished: tuple[Path, Config]) -> None:
    folder, config = finished
    dataset = Dataset.load(folder / "dataset")
    whole, shuffled, items = (
        side_information(folder, config.variants[name], dataset, 1) for name in ("con-aligned", "shuffled", "items")
    )
    for before, after in ((whole.user, shuffled.user), (whole.item, shuffled.item), (whole.item, items.item)):
        there, here = before["profile"].dense(), after["profile"].dense()
        assert not np.array_equal(there, here)
        assert sorted(map(tuple, there)) == sorted(map(tuple, here)), "the same vectors, in other places"
    np.testing.assert_array_equal(whole.user["profile"].dense(), items.user["profile"].dense())
    other = side_information(folder, config.variants["shuffled"], dataset, 2)
    assert not np.array_equal(other.item["profile"].dense(), shuffled.item["profile"].dense())
