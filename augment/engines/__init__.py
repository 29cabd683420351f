"""What answers requests. A new engine is a file here, its options in `augment/options.py`, a branch below."""

from __future__ import annotations

from pathlib import Path

from augment.engines.base import Engine
from augment.engines.heuristic import HeuristicEngine
from augment.options import HeuristicOptions, VllmOptions

__all__ = ["Engine", "build_engine"]


def build_engine(
    options: VllmOptions | HeuristicOptions, *, model: Path | None, model_sha256: str | None, log: Path
) -> Engine:
    """The engine of a source, not yet started."""
    match options:
        case HeuristicOptions():
            return HeuristicEngine()
        case VllmOptions():
            from augment.engines.vllm import vllm_engine

            return vllm_engine(options, model, model_sha256, log)
