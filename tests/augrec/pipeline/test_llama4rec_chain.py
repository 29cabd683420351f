"""Llama4Rec's augmentation by rules, from files to a page that the audit has nothing against: direct and sequential."""

from __future__ import annotations

from pathlib import Path

import pytest

from augrec.artefacts.records import read_records
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.trainings import read_training
from augrec.pipeline.audit import audit_run
from recsys.data.dataset import Dataset
from tests.kit.toy_config import toy_config
from tests.kit.toy_data import write_toy_data
from tests.kit.toy_run import advance, open_run

pytestmark = pytest.mark.slow

HINTS = """
generation:
  shards: 2
  sources: {rule: {engine: {kind: heuristic}, tasks: [TASK]}}
  tasks: {TASK: {similar_user: true, similar_items: 3, prediction: true}}
"""
DIRECT = """
models: {mf: {family: mf_bpr, dim: 8, aug_pool: true}, popular: {training: {monitor: recall@10}}}
base: {model: mf, folds: 2}
variants: {popular: null, base: {model: mf}, pair: {model: mf, source: rule},
           random: {model: mf, source: rule, change: {pair: random}}}
report: {baseline: base}
"""
SEQUENTIAL = """
dataset: {split: {kind: leave_last_out, ratios: null}}
models:
  sas: {family: sasrec, dim: 8, blocks: 1, length: 10, insertion_rate: 1.0}
  popular: {training: {monitor: recall@10}}
base: {model: sas, folds: 2}
training: {monitor: hit_rate@10}
variants: {popular: null, base: {model: sas}, pick: {model: sas, source: rule},
           shuffled: {model: sas, source: rule, change: {pick: shuffled}}}
report: {baseline: base, primary: ndcg@10, secondary: [hit_rate@10]}
"""


def finished(folder: Path, sections: str, task: str) -> RunFolder:
    """A whole run over the toy data."""
    content = toy_config(write_toy_data(folder / "data"), HINTS.replace("TASK", task), sections)
    run = open_run(folder, content)
    advance(run)
    assert advance(run).count("skipped, unchanged") == 7
    audit = audit_run(run.folder)
    assert audit.violations == 0, [check for check in audit.checks if check.violations]
    return run.files


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return finished(tmp_path_factory.mktemp("direct"), DIRECT, "pair")


@pytest.fixture(scope="module")
def sequential(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return finished(tmp_path_factory.mktemp("sequential"), SEQUENTIAL, "pick")


def test_pairs_become_triplets_of_a_ranking_model(direct: RunFolder) -> None:
    dataset = Dataset.load(direct.dataset)
    answered = list(read_records(direct.source("rule").task("pair").records).answered())
    train = set(map(tuple, dataset.train.tolist()))
    assert len(answered) > 10, "the rule cannot tell items of the same genres apart"
    for record in answered:
        assert record.fields is not None
        assert {record.fields["positive"], record.fields["negative"]} == set(record.shown_candidates)
        assert not {(record.entity, item) for item in record.shown_candidates} & train
        assert len(record.shown_similar) == 3
    log = direct.training("pair", 1).log.read_text()
    assert f"{len(answered)} suggested triplets" in log
    assert "suggested" not in direct.training("base", 1).log.read_text()
    assert len({metric(direct, name) for name in ("base", "pair", "random")}) == 3


def test_picks_become_insertions_of_a_sequence_model(sequential: RunFolder) -> None:
    dataset = Dataset.load(sequential.dataset)
    answered = list(read_records(sequential.source("rule").task("pick").records).answered())
    assert len(answered) == dataset.n_users
    assert f"{len(answered)} suggested insertions" in sequential.training("pick", 1).log.read_text()
    assert len({metric(sequential, name) for name in ("base", "pick", "shuffled")}) == 3
    named = {record.entity: record.fields["item"] for record in answered if record.fields}
    for user, item in named.items():
        assert item not in dataset.train[dataset.train[:, 0] == user, 1]


def metric(run: RunFolder, variant: str) -> float:
    return read_training(run.training(variant, 1)).test["ndcg@10" if variant != "popular" else "recall@10"]
