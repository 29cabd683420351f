"""A whole run, from a file of interactions to its page, over models that a test invents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from augrec.artefacts.run_folder import RunFolder
from tests.kit.toy_run import advance, open_run

QUICK = {"epochs": 12, "batch_size": 64, "lr": 0.05, "device": "cpu", "threads": 1}


def whole_run(folder: Path, config: dict[str, Any], seeds: tuple[int, ...] = (1, 2)) -> RunFolder:
    """Prepares, trains and reports.

    Args:
        folder: for the config and the run.
        config: its sections; those that a run needs and these lack are small ones.
        seeds: of the trainings.
    """
    models = {"base": {"family": "popularity", "training": {"monitor": "recall@20"}}, **config.pop("models")}
    sections = {
        "name": "invented",
        "candidates": {"model": "base"},
        "seeds": list(seeds),
        "workers": 1,
        "models": models,
        **config,
    }
    sections["training"] = {**QUICK, **config.get("training", {})}
    run = open_run(folder, sections)
    advance(run)
    return RunFolder(run.folder)
