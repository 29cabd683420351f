"""The config of a small run, which each test changes where it has to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.kit.real_parts import MINILM

SMALLEST = """
name: toy
seed: 7
dataset:
  name: Toy
  source: {format: recbole, path: nowhere}
  min_rating: 3
  k_core: 2
  split: {kind: random}
candidates: {size: 5, model: popular}
models: {popular: {family: popularity}}
training: {epochs: 2, batch_size: 256, lr: 0.01, monitor: recall@10, device: cpu, threads: 1}
evaluation: {cutoffs: [5, 10]}
seeds: [1]
workers: 1
variants: {popular: {model: popular}}
report: {baseline: popular, primary: recall@10, secondary: [ndcg@5], bootstrap: 100}
"""
RULES = "generation: {shards: 2, sources: {rule: {engine: {kind: heuristic}}}}"
"""Answers by rules, in two shards."""
EMBEDDING: dict[str, Any] = {"embedding": {"model": MINILM, "device": "cpu"}}
"""Vectors by the real embedding model, which the fixture `embedder` asks for."""

Patch = str | Mapping[str, Any]


def toy_config(data: Path | str, *patches: Patch) -> dict[str, Any]:
    """The sections of a run that trains one model in no time, changed.

    Args:
        data: the folder of the data set, as `toy_data.write_toy_data` writes one.
        patches: merged in turn as JSON merge patches (RFC 7386), also as YAML: a mapping changes the keys that it
            names, null takes a key away, anything else replaces what was there.
    """
    config: dict[str, Any] = yaml.safe_load(SMALLEST)
    config["dataset"]["source"]["path"] = str(data)
    for patch in patches:
        config = _merged(config, yaml.safe_load(patch) if isinstance(patch, str) else patch)
    return config


def write_config(path: Path, content: Mapping[str, Any]) -> Path:
    """Writes sections as YAML, in their order; the path."""
    path.write_text(yaml.safe_dump(dict(content), sort_keys=False))
    return path


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result
