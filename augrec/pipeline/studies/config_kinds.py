"""Which kind of config a file is: a run, an experiment, a comparison or a search space."""

from __future__ import annotations

from pathlib import Path

from augrec.pipeline.config import read_config, read_sections


def check_file(path: Path) -> str:
    """Checks a config without running anything; returns its kind. A `UsageError` says what is wrong."""
    raw = read_sections(path)
    if "arms" in raw:
        from augrec.pipeline.studies.comparison.plan import read_compare

        compare = read_compare(path).compare
        return f"comparison, {len(compare.arms)} arms x {len(compare.recommenders)} recommenders"
    if "base" in raw:
        from augrec.pipeline.studies.experiment.plan import read_experiment

        runs = len(read_experiment(path).cells)
        return f"experiment, {runs} run{'' if runs == 1 else 's'}"
    if "space" in raw:
        from augrec.pipeline.studies.search.spaces import read_space

        read_space(path)
        return "search space"
    read_config(path)
    return "run"
