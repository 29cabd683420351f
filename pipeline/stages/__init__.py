"""The pipeline: a short list of stages, the same on a laptop and on a cluster."""

from __future__ import annotations

from pipeline.stages.augment import Augment
from pipeline.stages.base import Stage
from pipeline.stages.candidates import Candidates
from pipeline.stages.embed import Embed
from pipeline.stages.prepare import Prepare
from pipeline.stages.report import Report
from pipeline.stages.train import Train

STAGES: dict[str, Stage] = {
    stage.name: stage for stage in (Prepare(), Candidates(), Augment(), Embed(), Train(), Report())
}
"""Every stage by name, in the order they run."""
