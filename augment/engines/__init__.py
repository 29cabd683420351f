"""What answers requests. A new engine is a file here, its options in `augment/options.py`, a branch below."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from augment.engines.base import Engine
from augment.engines.heuristic import HeuristicEngine
from augment.options import HeuristicOptions, OpenAIOptions, ReplayOptions, VllmOptions

if TYPE_CHECKING:
    from augment.catalog import Catalog

__all__ = ["MODULES", "Engine", "build_engine"]

MODULES = {
    "heuristic": "augment.engines.heuristic",
    "openai": "augment.engines.openai.engine",
    "replay": "augment.replay.replay",
    "vllm": "augment.engines.vllm.engine",
}
"""The module of each kind of engine."""


def build_engine(
    options: VllmOptions | OpenAIOptions | HeuristicOptions | ReplayOptions,
    catalog: Catalog | None = None,
    *,
    model: Path | None,
    model_sha256: str | None,
    log: Path,
    pin: Path | None = None,
) -> Engine:
    """The engine of a source, not yet started; only replay needs the catalogue.

    `pin` is the source's file that keeps what was chosen for this machine when it was first run.
    """
    match options:
        case ReplayOptions():
            from augment.replay.replay import ReplayEngine

            assert catalog is not None
            return ReplayEngine(options, catalog)
        case HeuristicOptions():
            return HeuristicEngine(options)
        case OpenAIOptions():
            from augment.engines.openai.engine import OpenAIEngine

            return OpenAIEngine(options)
        case VllmOptions():
            from augment.engines.vllm.engine import vllm_engine

            return vllm_engine(options, model, model_sha256, log, pin)
