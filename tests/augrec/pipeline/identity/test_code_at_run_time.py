"""No module runs in a stage or a training without being part of its identity."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.toy_config import EMBEDDING, RULES, toy_config, write_config

pytestmark = pytest.mark.slow

SECTIONS = """
candidates: {model: light}
models:
  light: {family: lightgcn, dim: 8, layers: 1, aug_sample_rate: 0.1}
  sided: {family: mf_bpr, dim: 8, side: {modality: 0.1, profile: 0.1, attribute: 0.1}}
  llmrec: {family: llmrec, dim: 8}
  vbpr: {family: vbpr, dim: 8}
  ease_text: {family: ease_text}
  blend: {family: blend}
variants:
  light: {model: light, source: rule, change: {edges: random}}
  sided: {model: sided, source: rule, change: {user_profile: shuffled}}
  llmrec: {model: llmrec, source: rule}
  vbpr: {model: vbpr}
  ease_text: {model: ease_text, source: rule}
  blend: {model: blend}
"""


def test_every_module_that_runs_is_in_the_identity(tmp_path: Path, toy_data: Path, embedder: str) -> None:
    content = toy_config(toy_data, RULES, EMBEDDING, SECTIONS, {"output": str(tmp_path / "run")})
    config = write_config(tmp_path / "traced.yaml", content)
    script = Path(__file__).with_name("traced_run.py")
    environment = {**os.environ, "AUGREC_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, str(script), str(config)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    lacking = json.loads(done.stdout.splitlines()[-1])
    assert len(lacking) == 6 + 7
    assert {name: modules for name, modules in lacking.items() if modules} == {}
