"""The model families by name. Adding one is a file with its model, a class of options, and one entry in `FAMILIES`."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from artefacts.errors import UsageError
from recsys.models.llmrec_options import LLMRecOptions
from recsys.models.options import EaseOptions, FamilyOptions, LightGcnOptions, MfBprOptions, PopularityOptions

if TYPE_CHECKING:
    import torch

    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.base import Recommender


@dataclass(frozen=True)
class Family:
    """A kind of recommender.

    Attributes:
        options: its options; their `family` is its name.
        model: `module:class`, imported when a model is built, so that reading a config loads no torch. The class has
            a classmethod `build(dataset, side, options, generator)`.
        paper: the source.
        uses_features: whether it takes user, item or attribute features; the others are given none.
    """

    options: type[FamilyOptions]
    model: str
    paper: str
    uses_features: bool = False

    @property
    def name(self) -> str:
        """The name in configs."""
        return self.options.model_fields["family"].default

    def build(
        self, dataset: Dataset, side: SideInformation, options: FamilyOptions, generator: torch.Generator
    ) -> Recommender:
        """An untrained model; `generator` (on the CPU) draws its initial parameters."""
        module, _, cls = self.model.partition(":")
        return getattr(import_module(module), cls).build(dataset, side, options, generator)


_ALL = (
    Family(PopularityOptions, "recsys.models.popularity:Popularity", "the standard non-personalised baseline"),
    Family(EaseOptions, "recsys.models.ease:Ease", "Steck, WWW 2019"),
    Family(MfBprOptions, "recsys.models.mf_bpr:MfBpr", "Rendle et al., UAI 2009"),
    Family(LightGcnOptions, "recsys.models.lightgcn:LightGCN", "He et al., SIGIR 2020"),
    Family(LLMRecOptions, "recsys.models.llmrec:LLMRec", "Wei et al., WSDM 2024", uses_features=True),
)
FAMILIES: dict[str, Family] = {family.name: family for family in _ALL}

if TYPE_CHECKING:
    ModelOptions = FamilyOptions
else:
    ModelOptions = Annotated[Union[tuple(family.options for family in _ALL)], Field(discriminator="family")]  # noqa: UP007


def family_of(name: str) -> Family:
    """The family called `name`; an unknown name is a `UsageError` with the nearest known one."""
    if name in FAMILIES:
        return FAMILIES[name]
    near = difflib.get_close_matches(name, FAMILIES, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise UsageError(f"unknown model family '{name}'", remedy=f"{hint}known: {', '.join(FAMILIES)}")
