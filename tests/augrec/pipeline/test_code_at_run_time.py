"""No module runs in a stage or a training without being part of its identity."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

CONFIG = """
name: traced
output: {folder}/run
dataset: {{name: Toy, source: {{format: recbole, path: {folder}/data}}, k_core: 2, split: {{kind: random}}}}
candidates: {{size: 5, model: light}}
generation: {{shards: 2, sources: {{rule: {{engine: {{kind: heuristic}}}}}}}}
embedding: {{model: "{embedder}", device: cpu}}
models:
  light: {{family: lightgcn, dim: 8, layers: 1, aug_sample_rate: 0.1}}
  sided: {{family: mf_bpr, dim: 8, side: {{modality: 0.1, profile: 0.1, attribute: 0.1}}}}
  llmrec: {{family: llmrec, dim: 8}}
  vbpr: {{family: vbpr, dim: 8}}
  ease_text: {{family: ease_text}}
  blend: {{family: blend}}
  popular: {{family: popularity}}
training: {{epochs: 2, batch_size: 256, monitor: "recall@10", device: cpu, threads: 1}}
evaluation: {{cutoffs: [5, 10]}}
seeds: [1]
workers: 1
variants:
  light: {{model: light, source: rule, change: {{edges: random}}}}
  sided: {{model: sided, source: rule, change: {{user_profile: shuffled}}}}
  llmrec: {{model: llmrec, source: rule}}
  vbpr: {{model: vbpr}}
  ease_text: {{model: ease_text, source: rule}}
  blend: {{model: blend}}
  popular: {{model: popular}}
report: {{baseline: popular, primary: recall@10, secondary: [], bootstrap: 100}}
"""


def test_every_module_that_runs_is_in_the_identity(
    tmp_path: Path, embedder: str, toy_folder: Callable[[Path], Path]
) -> None:
    toy_folder(tmp_path / "data")
    (tmp_path / "traced.yaml").write_text(CONFIG.format(folder=tmp_path, embedder=embedder))
    script = Path(__file__).with_name("traced_run.py")
    environment = {**os.environ, "AUGREC_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "traced.yaml")], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    lacking = json.loads(done.stdout.splitlines()[-1])
    assert len(lacking) == 6 + 7
    assert {name: modules for name, modules in lacking.items() if modules} == {}
