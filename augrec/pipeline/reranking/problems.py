"""What keeps a config's re-ranking from being done, in words for the user."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from augment.tasks.hints import HintOptions
from augrec.artefacts.metrics import Metric
from recsys.options import Judged

if TYPE_CHECKING:
    from augrec.pipeline.config.run_config import Config


def reranking_problems(config: Config) -> Iterator[str]:
    """Sources that do nothing, and rows of re-ranking that cannot be made or judged; names are known to exist."""
    options = config.rerank
    sources = config.generation.sources if config.generation else {}
    for name in sorted(sources.keys() - config.asked.keys() - {options.source if options else ""}):
        yield f"generation.sources.{name}.tasks: it is asked nothing, and does not re-rank; name a task"
    if options is None:
        return
    for name in sorted(config.reranked.keys() & config.variants.keys()):
        yield f"variants.{name}: re-ranking makes a row of this name; call the variant something else"
    if sources[options.source].engine.replays:
        yield f"rerank.source: '{options.source}' replays records, which answer other questions; name an engine"
    for task in options.tasks:
        settings = config.generation.tasks.of(task) if config.generation else None
        if isinstance(settings, HintOptions) and settings.similar_user and config.base is None:
            yield f"generation.tasks.{task}.similar_user: nobody says who is similar; add a section `base`"
    for variant in options.variants:
        yield from _problems_of(config, variant)
    judged = config.models[config.variants[options.variants[0]].model].judged
    if options.monitor is not None and not judged.has_per_user(Metric.parse(options.monitor)):
        yield f"rerank.monitor: {options.monitor} is not what models judged by {judged.words} have"


def _problems_of(config: Config, variant: str) -> Iterator[str]:
    assert config.rerank is not None
    name = config.variants[variant].model
    model = config.models[name]
    own = model.training is not None and "keep_checkpoint" in model.training.model_fields_set
    training = model.training_within(config.training)
    if not training.keep_checkpoint:
        key = f"models.{name}.training.keep_checkpoint" if own else "training.keep_checkpoint"
        yield f"{key}: the lists of '{variant}' are made by the trained model, which has to be kept"
    if model.judged is Judged.RATING and config.rerank.tasks != ("rating",):
        yield f"rerank.tasks: '{variant}' predicts ratings, and lists nothing; set tasks: [rating]"
