"""A whole run, from a file of interactions to its page, over models that a test invents."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.config import read_config
from augrec.pipeline.executors.chain import run_all
from augrec.pipeline.stages.base import Run

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
    path = folder / "invented.yaml"
    path.write_text(yaml.safe_dump(sections, sort_keys=False))
    run = Run(read_config(path, [f"output={folder / 'run'}"]))
    run_all(run, console=Console(file=io.StringIO()))
    return RunFolder(run.folder)
