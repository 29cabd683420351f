"""Everything that is looked at before a run begins, here or on a cluster."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from augrec.pipeline.host.terminal import say
from augrec.pipeline.preflight.cluster import gpus_of, look_at_profile
from augrec.pipeline.preflight.data import look_at_data
from augrec.pipeline.preflight.engines import gpus_here, look_at_engines
from augrec.pipeline.preflight.findings import Finding, require
from augrec.pipeline.preflight.models import look_for_models
from augrec.pipeline.preflight.trainings import look_at_trainings
from augrec.pipeline.preflight.vectors import look_at_vectors
from augrec.pipeline.stages.base import Run
from augrec.pipeline.training.trackers import TRACKERS

if TYPE_CHECKING:
    from augrec.pipeline.executors.profile import Profile


def look_at_run(run: Run, *, profile: Profile | None = None, coming: Collection[Path] = ()) -> list[Finding]:
    """What a run would lack: data, models, environments, memory; nothing is loaded, and nothing is written.

    Args:
        run: the run.
        profile: the cluster that it is for; None: this machine.
        coming: folders of records that an earlier step of a study makes.
    """
    gpus = gpus_here() if profile is None else gpus_of(profile)
    found = [*look_at_data(run), *look_for_models(run, coming), *look_at_trainings(run), *look_at_vectors(run)]
    found += _look_for_trackers(run)
    found += look_at_engines(run, gpus, here=profile is None)
    return found + ([] if profile is None else [*look_at_profile(run, profile)])


def _look_for_trackers(run: Run) -> list[Finding]:
    kinds = [TRACKERS.find(name) for name in dict.fromkeys(run.config.report_to)]
    return [
        Finding("problem", f"{kind.name} is not installed", "report_to", f"python -m pip install {kind.package}")
        for kind in kinds
        if kind.missing
    ]


def begin(findings: Iterable[Finding], where: Path) -> None:
    """Lets a command begin: says cautions, one line each.

    Raises:
        UsageError: there are problems; it lists all of them.
    """
    for caution in require(findings, str(where)):
        say(str(caution), error=True)
