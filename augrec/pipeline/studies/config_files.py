"""Checks a config file of any kind without running anything."""

from __future__ import annotations

from pathlib import Path

from augrec.pipeline.config import read_config, read_sections
from augrec.pipeline.config_kinds import COMPARISON, EXPERIMENT, SEARCH_SPACE, kind_of


def check_file(path: Path) -> str:
    """Checks a config; returns its kind and size. A `UsageError` says what is wrong."""
    kind = kind_of(read_sections(path))
    if kind is COMPARISON:
        from augrec.pipeline.studies.comparison.plan import read_compare

        compare = read_compare(path).compare
        return f"comparison, {len(compare.arms)} arms x {len(compare.recommenders)} recommenders"
    if kind is EXPERIMENT:
        from augrec.pipeline.studies.experiment.plan import read_experiment

        runs = len(read_experiment(path).cells)
        return f"experiment, {runs} run{'' if runs == 1 else 's'}"
    if kind is SEARCH_SPACE:
        from augrec.pipeline.studies.search.spaces import read_space

        read_space(path)
        return "search space"
    read_config(path)
    return "run"
