"""Which models are computed from the data in one go, so that a training of them needs no GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from augrec.pipeline.config.run_config import Config
    from recsys.models.options.base import FamilyOptions


def gpus_of_models(config: Config, models: Iterable[FamilyOptions]) -> int | None:
    """0 where all models are computed in one go, None where that is left open, and where the config names a GPU."""
    named = config.training.device.startswith("cuda")
    return 0 if not named and all(is_closed_form(model) for model in models) else None


def is_closed_form(options: FamilyOptions) -> bool:
    """Whether a model of these options is computed in one go, and so is all that it is made of."""
    from recsys.models.registry import FAMILIES

    parts = options.components.values()
    if parts:
        return all(is_closed_form(part) for part in parts)
    from recsys.models.base import ClosedFormRecommender  # imports torch

    return issubclass(FAMILIES.find(options.family).model_class(), ClosedFormRecommender)
