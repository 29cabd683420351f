"""Which kind of config a file is: a run, an experiment or a search space."""

from __future__ import annotations

from pathlib import Path

from pipeline.config import read_config, read_sections


def check_file(path: Path) -> str:
    """Checks a config without running anything; returns its kind. A `UsageError` says what is wrong."""
    raw = read_sections(path)
    if "base" in raw:
        from pipeline.experiment.read import read_experiment

        runs = len(read_experiment(path).cells)
        return f"experiment, {runs} run{'' if runs == 1 else 's'}"
    if "space" in raw:
        from pipeline.experiment.spaces import read_space

        read_space(path)
        return "search space"
    read_config(path)
    return "run"
