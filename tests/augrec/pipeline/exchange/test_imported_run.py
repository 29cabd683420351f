"""A run over an import: its split, its ids, its published text."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from rich.console import Console

from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import read_json
from augrec.pipeline.audit import audit_run, render
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.exchange.import_llmrec import import_llmrec
from augrec.pipeline.executors.chain import run_one
from augrec.pipeline.probes import foreknown as foreknown_module
from augrec.pipeline.probes.foreknown import foreknown
from augrec.pipeline.stages.base import Run
from embed.records import texts_of_source
from recsys.data.dataset import Dataset
from tests.kit.toy_run import silent

GOLDEN = Path(__file__).parents[3] / "golden" / "llmrec" / "release"


def published_run(tmp_path: Path, split: dict[str, Any], source: dict[str, Any]) -> Run:
    """A run over an import that replays its texts, its candidates listed."""
    imported = tmp_path / "imported"
    import_llmrec(GOLDEN, imported)
    engine = {"kind": "replay", "records": str(imported)}
    config = {
        "name": "published",
        "dataset": {
            "name": "Golden",
            "source": {"format": "augrec", "path": str(imported / "dataset")},
            "split": split,
        },
        "candidates": {"model": "popular", "size": 5},
        "generation": {"sources": {"gpt35": {"engine": engine, **source}}, "shards": 2},
        "embedding": {},
        "models": {"popular": {"family": "popularity"}},
        "variants": {"popular": {"model": "popular"}},
        "report": {"baseline": "popular"},
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    run = Run(read_config(tmp_path / "run.yaml", [f"output={tmp_path / 'run'}"]))
    for stage in ("prepare", "candidates"):
        run_one(run, stage, force=False, console=silent())
    return run


def test_prepare_candidates_augment_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUGREC_CACHE", str(tmp_path / "cache"))
    run, imported = published_run(tmp_path, {"kind": "given"}, {}), tmp_path / "imported"
    run_one(run, "augment", force=False, console=silent())
    here, there = (Dataset.load(folder / "dataset") for folder in (run.folder, imported))
    np.testing.assert_array_equal(here.train, there.train)
    assert (here.n_users, here.n_items) == (200, 150)
    totals = read_json(run.folder / "augment" / "summary.json")["totals"]
    assert totals == {"requests": 550, "ok": 549, "failed": 1}
    replayed, published = (
        folder / "augment" / name for folder, name in ((run.folder, "gpt35"), (imported, "published"))
    )
    tasks = ("edges", "user_profile", "item_attributes")
    assert texts_of_source(replayed, 200, 150, tasks) == texts_of_source(published, 200, 150, tasks)
    found = pq.read_table(run.folder / "augment" / "gpt35" / "edges" / "records.parquet").to_pylist()
    assert json.loads(found[0]["fields"]) == {"positive": 111, "negative": 43}
    audit = audit_run(run.folder)
    assert audit.violations == 0
    assert (audit.leaks["gpt35"]["positives_in_valid"], audit.leaks["gpt35"]["positives_in_test"]) == (77, 101)
    without_edges = [f"output={run.folder}", "generation.sources.gpt35.tasks=[user_profile]"]
    run_one(
        Run(read_config(tmp_path / "run.yaml", without_edges)),
        "augment",
        force=False,
        console=silent(),
    )
    said = io.StringIO()
    render(audit_run(run.folder), Console(file=said, width=200))
    assert "gpt35: of 0 augmented edges, 0 positives" in said.getvalue()


def test_published_texts_are_refused_after_another_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They were written over what is test then, and nobody kept their prompts."""
    monkeypatch.setenv("AUGREC_CACHE", str(tmp_path / "cache"))
    split = {"kind": "random", "ratios": [3, 1, 1]}
    run, imported = published_run(tmp_path, split, {"tasks": ["user_profile"]}), tmp_path / "imported"
    here, there = (Dataset.load(folder / "dataset") for folder in (run.folder, imported))
    users = [data.users["source_id"].to_pylist() for data in (here, there)]
    items = [data.items["source_id"].to_pylist() for data in (here, there)]
    trained = {(users[1][user], items[1][item]) for user, item in there.train.tolist()}
    known = [[user, item] for user, item in here.test.tolist() if (users[0][user], items[0][item]) in trained]
    assert len(known) > 100
    assert foreknown(run.files.dataset, imported / "dataset").tolist() == sorted(known)
    with pytest.raises(UsageError) as refused:
        run_one(run, "augment", force=False, console=silent())
    assert f"may know {len(known):,} of this run's test interactions" in refused.value.what
    assert "dataset.split.kind=given" in str(refused.value.remedy)
    monkeypatch.setattr(foreknown_module, "foreknown", lambda *data, **how: np.empty((0, 2), dtype=np.int64))
    run_one(run, "augment", force=False, console=silent())
    (check,) = [check for check in audit_run(run.folder).checks if "written over no test" in check.name]
    assert (check.rows, len(check.violations)) == (len(here.test), len(known)), "the audit does not go by the stage"
