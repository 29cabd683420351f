"""Profiles in prose by the real engine and the real LLM, for a handful of users, from texts without titles."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from augrec.artefacts.files import read_json, read_parquet
from tests.kit.real_parts import SMOLLM2

KINDS = (
    "A romance of second chances, in which a widow and a baker in a seaside village learn to trust again.",
    "A crime novel with a tired detective, a missing child and a town that would rather forget.",
    "An epic fantasy of dragons, exiled queens and a young thief who finds an old sword.",
)
CONFIG = """
name: prose
seed: 3
dataset:
  name: Toy
  domain: books
  source:
    format: table
    path: {data}
    table: {{interactions: interactions.csv, items: items.csv, user: user, item: item, rename: {{about: description}}}}
  split: {{kind: random}}
candidates: {{size: 3, model: popular}}
generation:
  shards: 1
  max_history: 5
  item_text: {{columns: [description], words: 30}}
  tasks: {{user_profile: {{style: prose, words: 40}}}}
  sources:
    smollm2:
      users: 6
      tasks: [user_profile]
      engine: {{kind: vllm, model: "{llm}", max_model_len: 1024, max_num_seqs: 6, block: 1,
               kv_cache_gib: 0.5}}
    tfidf: {{users: 6, tasks: [user_profile], engine: {{kind: heuristic, rule: tfidf}}}}
embedding: {{model: "{embedder}", device: cpu}}
models:
  popular: {{family: popularity}}
seeds: [1]
variants:
  popular: {{model: popular}}
report: {{baseline: popular}}
"""

pytestmark = pytest.mark.vllm


def write_books(folder: Path) -> Path:
    """Thirty books of three kinds, and users who mostly read one."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    texts = [f"{KINDS[item % 3]} Volume {item}." for item in range(30)]
    pd.DataFrame({"item": range(30), "about": texts}).to_csv(folder / "items.csv", index=False)
    read = []
    for user in range(12):
        weights = np.where(np.arange(30) % 3 == user % 3, 8.0, 1.0)
        books = rng.choice(30, size=8, replace=False, p=weights / weights.sum())
        read += [{"user": user, "item": item} for item in books]
    pd.DataFrame(read).to_csv(folder / "interactions.csv", index=False)
    return folder


def test_profiles_end_by_themselves_and_pass_the_audit(tmp_path: Path, embedder: str) -> None:
    config, run = tmp_path / "prose.yaml", tmp_path / "run"
    config.write_text(CONFIG.format(data=write_books(tmp_path / "data"), llm=SMOLLM2, embedder=embedder))
    for command in (["prepare"], ["candidates"], ["augment"], ["embed"]):
        call = [sys.executable, "-m", "augrec.cli", *command, str(config), f"output={run}"]
        ended = subprocess.run(call, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    rows = read_parquet(run / "augment" / "smollm2" / "user_profile" / "records.parquet").to_pylist()
    assert len(rows) == 6
    assert sum(row["finish_reason"] == "stop" for row in rows) >= 5
    written = [json.loads(row["fields"]) for row in rows if row["status"] == "ok"]
    assert len(written) >= 5
    for fields in written:
        assert set(fields) == {"profile"}
        assert fields["profile"][-1] in ".!?"
        assert 3 <= len(fields["profile"].split()) <= 40
    rule = read_parquet(run / "augment" / "tfidf" / "user_profile" / "records.parquet").to_pylist()
    assert [row["entity"] for row in rule] == [row["entity"] for row in rows]
    missing = read_json(run / "embed" / "smollm2" / "user_profile.json")["missing"]
    assert len(missing) == 12 - len(written)

    audited = subprocess.run(
        [sys.executable, "-m", "augrec.cli", "audit", str(run)], capture_output=True, text=True, check=False
    )
    assert audited.returncode == 0, audited.stdout
