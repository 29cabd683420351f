"""The smallest comparison: what rules write beside nothing, judged by a model in closed form, in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.kit.toy_config import toy_config

BASE = """
name: null
dataset: {k_core: null}
embedding: {model: tfidf}
generation: {shards: 2, sources: {rule: {engine: {kind: heuristic}, tasks: [user_profile]}}}
models: {ease: {family: ease_text, alpha: 0, l2: 5}}
training: {monitor: null}
seeds: null
variants: null
report: null
"""


def smallest_comparison(data: Path, output: Path) -> dict[str, Any]:
    """The sections of its file.

    Args:
        data: the folder of the data set, as `toy_data.write_toy_data` writes one.
        output: the folder of the comparison.
    """
    return {
        "name": "compared",
        "output": str(output),
        "base": toy_config(data, BASE),
        "arms": {"rule": {"source": "rule"}, "none": {}},
        "recommenders": {"ease": {"model": "ease", "scale": "profile", "scales": [0.5, 5]}},
        "baseline": "none",
        "claim": "rule",
        "metrics": ["recall@10"],
        "seeds": [1],
        "bootstrap": 100,
    }
