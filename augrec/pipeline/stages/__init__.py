"""The pipeline: a short list of stages, the same on a laptop and on a cluster."""

from __future__ import annotations

from augrec.pipeline.stages.augment import Augment
from augrec.pipeline.stages.base import Stage
from augrec.pipeline.stages.candidates import Candidates
from augrec.pipeline.stages.embed import Embed
from augrec.pipeline.stages.prepare import Prepare
from augrec.pipeline.stages.report import Report
from augrec.pipeline.stages.train import Train

STAGES: dict[str, Stage] = {
    stage.name: stage for stage in (Prepare(), Candidates(), Augment(), Embed(), Train(), Report())
}
"""Every stage by name, in the order they run."""
