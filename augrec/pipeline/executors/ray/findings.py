"""A Ray cluster beside a run: a node for every kind of task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from augrec.artefacts.errors import UsageError
from augrec.pipeline.executors.ray.executor import ask_of
from augrec.pipeline.preflight.findings import Finding
from augrec.pipeline.stages import chain
from augrec.pipeline.stages.base import Run

if TYPE_CHECKING:
    from augrec.pipeline.executors.profile import Profile
    from augrec.pipeline.executors.ray.cluster import Cluster


def look_at_ray(run: Run, profile: Profile, cluster: Cluster) -> Iterator[Finding]:
    """Tasks that no node of the cluster has room for; what a profile grants too little of is named by its own check."""
    for stage in chain(run.config):
        for group in {piece.group: None for piece in stage.pieces(run, known=False)}:
            try:
                ask = ask_of(run, stage, group, profile)
            except UsageError:
                continue
            if not cluster.slots(ask):
                what = f"no node of the Ray cluster has {ask} for '{group}'; there are: {cluster.nodes()}"
                remedy = f"start a larger node, or ask for less in stages.{stage.name} of the profile"
                yield Finding("problem", what, f"stages.{stage.name} in the profile", remedy)
