"""What prompts are made of: the run's own data where they are prepared and current, else prepared in passing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from augment.catalog import Catalog
from augrec.artefacts.errors import AugrecError
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.executors.chain import stale_reason
from augrec.pipeline.stages import STAGES
from augrec.pipeline.stages.base import Run


@dataclass(frozen=True)
class Material:
    """The data of a run, and which of what its prompts show is there.

    Args:
        catalog: users and items, with candidates and hints as far as they are there.
        own: whether the data are those of the run folder; else they were prepared for the preview.
        has_hints: whether the base recommender has spoken.
    """

    catalog: Catalog
    own: bool
    has_hints: bool


@contextmanager
def material(run: Run) -> Iterator[Material]:
    """Reads what there is; prepares the data in a temporary folder where the run has none that are current."""
    if _is_current(run, "prepare"):
        yield _read(run, run.files)
        return
    with TemporaryDirectory(prefix="augrec-preview-") as folder:
        passing = Run(run.config.model_copy(update={"output": Path(folder)}), run.download)
        STAGES["prepare"].finish(passing)
        yield Material(Catalog.load(passing.files.dataset), own=False, has_hints=False)


def _read(run: Run, files: RunFolder) -> Material:
    candidates = files.candidates if _is_current(run, "candidates") else None
    base = files.base if run.config.base is not None and _is_current(run, "base") else None
    return Material(Catalog.load(files.dataset, candidates, base), own=True, has_hints=base is not None)


def _is_current(run: Run, name: str) -> bool:
    """Whether a stage is finished, and nothing that it was made from has changed."""
    stage = STAGES[name]
    try:
        marker = stage.marker(run)
        return marker is not None and stale_reason(stage, run, marker, stage.identity(run)) is None
    except AugrecError:
        return False  # a stage before it is not finished
