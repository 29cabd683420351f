"""The section `base` of a run: a recommender whose word prompts may show, and how far its word can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field, NonNegativeInt, PositiveInt

from augrec.artefacts.metrics import Metric
from augrec.artefacts.options import Options
from recsys.options import Judged, TrainingOptions

if TYPE_CHECKING:
    from augment.options import GenerationOptions
    from recsys.models.options.base import FamilyOptions

USUAL_MONITOR = {Judged.RANKING: "recall@20", Judged.NEXT_ITEM: "hit_rate@10", Judged.RATING: "rmse"}


class BaseOptions(Options):
    """The base recommender of prompts (Llama4Rec). It is trained on training interactions alone.

    A hint on an item that the recommender was trained on would tell the answer. So it is trained once on all training
    interactions, for hints on items without one, and once without each fold of them, for hints on those it held out.
    """

    model: str
    """A name from `models`, judged by ranked lists, by the next item or by ratings."""
    folds: int = Field(5, ge=2, le=100)
    """Parts of the training interactions, each scored by a model that was trained without it. Where the next item is
    judged: parts of the users, whose last training item is held out."""
    list_size: PositiveInt = 10
    """Items that are listed for each user, the best ones without a training interaction (Llama4Rec uses 10)."""
    negatives: NonNegativeInt = 20
    """Items without a training interaction, drawn for each user and fold and scored beside what it holds out."""
    similar: PositiveInt = 1
    """The nearest other users that are kept for each user; prompts show the nearest."""
    vectors: str | None = None
    """A name from `models`: whose embeddings of users say who is similar. The base model's own unless given; one that
    predicts ratings has none, and nobody is then similar to anybody."""

    @property
    def named_models(self) -> dict[str, str]:
        """Key -> the model that is named there."""
        named = {"base.model": self.model, "base.vectors": self.vectors}
        return {key: model for key, model in named.items() if model is not None}


def check_hints(
    base: BaseOptions | None,
    generation: GenerationOptions | None,
    models: Mapping[str, FamilyOptions],
    training: TrainingOptions,
) -> None:
    """Raises ValueError where hints cannot be made, or prompts show some that nobody makes.

    Args:
        base, generation: the sections of the run.
        models: by name.
        training: how models are trained that say nothing else.
    """
    for key, model in base.named_models.items() if base else ():
        if key == "base.vectors" and models[model].judged is Judged.RATING:
            raise ValueError(f"{key}: '{model}' is judged by ratings, and has no embeddings of users")
        check_monitor(key, model, models, training)
    if base is not None or generation is None:
        return
    for name, source in generation.asked.items():
        asked = () if source.engine.replays else source.tasks  # what is replayed shows nothing
        wanting = next((task for task in asked if generation.task_options(task, source).needs_hints), None)
        if wanting:
            raise ValueError(
                f"generation.sources.{name}: by generation.tasks.{wanting} prompts show hints, and no recommender "
                "makes any; add a section `base`, e.g. base: {model: lightgcn}"
            )


def check_monitor(key: str, name: str, models: Mapping[str, FamilyOptions], training: TrainingOptions) -> None:
    """Raises ValueError where the monitor of a model that a stage trains is not one that it is judged by.

    Args:
        key: where the config names the model.
        name: of the model.
        models: by name.
        training: how models are trained that say nothing else.
    """
    model = models[name]
    monitor = model.training_within(training).monitor
    if not model.judged.has(Metric.parse(monitor)):
        raise ValueError(
            f"{key}: '{name}' is judged by {model.judged.words} and cannot be chosen by {monitor}; set "
            f"models.{name}.training.monitor, e.g. to {USUAL_MONITOR[model.judged]}"
        )
