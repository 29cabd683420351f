"""The model families, by what they are judged by."""

from __future__ import annotations

from recsys.models.base import TrainedRecommender
from recsys.models.registry import FAMILIES
from recsys.options import Judged


def families(judged: Judged) -> list[str]:
    """The names of those whose models, with default options, are judged so."""
    return [name for name, family in FAMILIES.items() if family.options().judged is judged]


def learning(judged: Judged) -> list[str]:
    """Those of `families` that are trained in epochs."""
    return [name for name in families(judged) if issubclass(FAMILIES[name].model_class(), TrainedRecommender)]
