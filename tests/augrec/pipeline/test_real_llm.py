"""The main job with the real engine and the real LLM, killed three times while it generates."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from augrec.artefacts.files import read_json, read_parquet
from tests.kit.real_parts import SMOLLM2
from tests.kit.toy_config import EMBEDDING, toy_config, write_config
from tests.kit.waiting import wait_until

SECTIONS = f"""
seed: 3
dataset: {{min_rating: null, sample_users: 12}}
generation:
  shards: 2
  max_history: 6
  sources:
    smollm2:
      engine:
        kind: vllm
        model: "{SMOLLM2}"
        max_model_len: 1024
        max_num_seqs: 8
        block: 1
        kv_cache_gib: 0.5
        threads: 1
models: {{llmrec: {{family: llmrec, dim: 8}}}}
variants: {{llmrec: {{model: llmrec, source: smollm2}}}}
"""

pytestmark = pytest.mark.vllm


def augrec(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "augrec.cli", *arguments]


def ended(*arguments: str) -> str:
    result = subprocess.run(augrec(*arguments), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def stored(run: Path) -> int:
    """Whole lines in the shards."""
    return sum(path.read_bytes().count(b"\n") for path in run.glob("augment/smollm2/*/shards/*.jsonl"))


def killed_after(records: int, config: Path, run: Path) -> bool:
    """Starts the run and kills it once that many records are stored; False when it ended first."""
    command = augrec("run", str(config), f"output={run}")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: process.poll() is not None or stored(run) >= records, f"{records} records", 250)
        ended_first = process.poll() is not None
        process.kill()
    return not ended_first


def records(run: Path) -> dict[str, list[tuple]]:
    """What was asked and answered, per task. Cached tokens may differ: they say how it was computed."""
    return {
        path.parent.name: [
            (row["key"], row["entity"], row["status"], row["text"], row["fields"], row["attempt"], row["repairs"])
            for row in read_parquet(path).to_pylist()
        ]
        for path in sorted(run.glob("augment/smollm2/*/records.parquet"))
    }


def test_killed_three_times_the_records_are_those_of_an_uninterrupted_run(
    tmp_path: Path, toy_data: Path, embedder: str
) -> None:
    config = write_config(tmp_path / "real.yaml", toy_config(toy_data, EMBEDDING, SECTIONS))
    whole, killed = tmp_path / "whole", tmp_path / "killed"

    ended("run", str(config), f"output={whole}")
    summary = read_json(whole / "augment" / "summary.json")
    assert summary["totals"]["requests"] == summary["totals"]["ok"] + summary["totals"]["failed"]
    assert summary["totals"]["ok"] >= 0.9 * summary["totals"]["requests"] > 0
    assert "ok" in ended("audit", str(whole))
    assert (whole / "report" / "index.html").exists()

    total = summary["totals"]["requests"]
    assert [killed_after(int(total * share), config, killed) for share in (0.1, 0.4, 0.7)] == [True, True, True]
    assert not (killed / "augment" / "stage.json").exists()
    ended("run", str(config), f"output={killed}")
    assert records(killed) == records(whole)
    assert len({row[0] for rows in records(killed).values() for row in rows}) == total
