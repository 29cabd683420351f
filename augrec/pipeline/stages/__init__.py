"""The pipeline: a short list of stages, the same on a laptop and on a cluster."""

from __future__ import annotations

from augrec.pipeline.stages.augment import Augment
from augrec.pipeline.stages.base_recommender import BaseRecommender
from augrec.pipeline.stages.candidates import Candidates
from augrec.pipeline.stages.embed import Embed
from augrec.pipeline.stages.prepare import Prepare
from augrec.pipeline.stages.registry import STAGES, chain
from augrec.pipeline.stages.report import Report
from augrec.pipeline.stages.rerank import Rerank
from augrec.pipeline.stages.train import Train
from augrec.pipeline.stages.tune import Tune

__all__ = ["STAGES", "chain"]

for _stage in (Prepare(), BaseRecommender(), Tune(), Candidates(), Augment(), Embed(), Train(), Rerank(), Report()):
    STAGES.register(_stage)
