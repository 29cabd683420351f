"""Can the models of a config be trained as it says?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from augrec.pipeline.preflight.findings import Finding, refusals
from augrec.pipeline.stages.base import Run
from recsys.models.options.base import FamilyOptions
from recsys.options import TrainingOptions


def look_at_trainings(run: Run) -> Iterator[Finding]:
    """The trainings of variants, candidates and base recommender that would be refused when their turn comes."""
    config = run.config
    named = [variant.model for variant in config.variants.values()] + [config.candidates.model]
    for name in dict.fromkeys([*named, *([config.base.model] if config.base else [])]):
        yield from refusals(f"models.{name}", partial(_check, config.models[name], config.training))


def _check(model: FamilyOptions, training: TrainingOptions) -> None:
    """Raises UsageError where a model, or one that it is made of, cannot be trained so."""
    training = model.training_within(training)
    model.check_training(training)
    if training.shard:
        from recsys.training.job import draws
        from recsys.training.sharded.model import check_shardable

        if draws(model):
            check_shardable(model, training.processes)
    for component in model.components.values():
        _check(component, training)
