"""What a search is about: one model, as one variant uses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from augrec.pipeline.config.run_config import Config
from recsys.options import TrainingOverrides

Values = Mapping[str, Any]
"""Options of a model by dotted key."""


@dataclass(frozen=True)
class Subject:
    """What is searched.

    Attributes:
        model: its name in the config.
        variant: the one that uses it; the model is given what the variant is given.
        seeds: training seeds of every trial.
        config: the run's config with some options of the model.
    """

    model: str
    variant: str
    seeds: tuple[int, ...]
    config: Callable[[Values], Config]

    def narrowed(self, options: Values) -> Config:
        """The config of a trial: one variant with the search's seeds, whose checkpoints nobody needs."""
        config = self.config(options)
        variant = config.variants[self.variant].model_copy(update={"seeds": None})
        model = config.models[self.model]
        own = (model.training or TrainingOverrides()).model_copy(update={"keep_checkpoint": False})
        models = {**config.models, self.model: model.model_copy(update={"training": own})}
        return config.model_copy(
            update={"models": models, "variants": {self.variant: variant}, "seeds": list(self.seeds), "rerank": None}
        )
