"""The model families by name. Adding one is a file with its model, a class of options, and one entry in `FAMILIES`."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import Field

from augrec.artefacts.errors import UsageError
from recsys.models.options.base import FamilyOptions, SideAugmentation
from recsys.models.options.blend import BlendOptions
from recsys.models.options.clcrec import ClcrecOptions
from recsys.models.options.ease import EaseOptions
from recsys.models.options.ease_text import EaseTextOptions
from recsys.models.options.grcn import GrcnOptions
from recsys.models.options.item_knn import ItemKnnOptions
from recsys.models.options.lattice import LatticeOptions
from recsys.models.options.lightgcn import LightGcnOptions
from recsys.models.options.llmrec import LLMRecOptions
from recsys.models.options.mf_bpr import MfBprOptions
from recsys.models.options.micro import MicroOptions
from recsys.models.options.mmgcn import MmgcnOptions
from recsys.models.options.mmssl import MmsslOptions
from recsys.models.options.ngcf import NgcfOptions
from recsys.models.options.popularity import PopularityOptions
from recsys.models.options.rp3beta import Rp3betaOptions
from recsys.models.options.vbpr import VbprOptions

if TYPE_CHECKING:
    import torch

    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.base import Recommender


Input = Literal["item", "user", "attributes"]


@dataclass(frozen=True)
class Family:
    """A kind of recommender.

    Attributes:
        options: its options; their `family` is its name.
        model: `module:class`, imported when a model is built, so that reading a config loads no torch. The class has
            a classmethod `build(dataset, side, options, generator)`.
        kind: the group it stands in in tables.
        title: its name in tables.
        paper: the source.
        takes: the parts of `SideInformation` that it reads by itself (edges and side scales are options of their own).
        needs: those of them without which it cannot be built with its default options.
    """

    options: type[FamilyOptions]
    model: str
    kind: Literal["general", "text", "side information", "augmentation", "self-supervised", "LLM", "blend"]
    title: str
    paper: str
    takes: tuple[Input, ...] = ()
    needs: tuple[Input, ...] = ()

    @property
    def name(self) -> str:
        """The name in configs."""
        return self.options.model_fields["family"].default

    def uses_features(self, options: FamilyOptions) -> bool:
        """Whether a model of these options reads user, item or attribute features; the others are given none."""
        if isinstance(options, BlendOptions):
            return any(FAMILIES[member.family].uses_features(member) for member in options.members.values())
        if isinstance(options, EaseTextOptions):
            return options.active
        return bool(self.takes) or (isinstance(options, SideAugmentation) and options.side.active)

    def modules(self, options: FamilyOptions) -> tuple[str, ...]:
        """The modules that are this family's alone: of its model, of its options, of the members of a blend."""
        members = options.members.values() if isinstance(options, BlendOptions) else ()
        theirs = (module for member in members for module in FAMILIES[member.family].modules(member))
        return (self.model.partition(":")[0], self.options.__module__, *theirs)

    def model_class(self) -> Any:
        """The class of its models; imports it."""
        module, _, name = self.model.partition(":")
        return getattr(import_module(module), name)

    def build(
        self, dataset: Dataset, side: SideInformation, options: FamilyOptions, generator: torch.Generator
    ) -> Recommender:
        """An untrained model; `generator` (on the CPU) draws its initial parameters."""
        model = self.model_class().build(dataset, side, options, generator)
        if isinstance(options, SideAugmentation) and options.side.active:
            from recsys.models.parts.side_augmentation import SideEmbeddings

            model.attach_side(SideEmbeddings.build(dataset, side, options.side, model.embedding_dim, generator))
        return model


_ALL = (
    Family(PopularityOptions, "recsys.models.popularity:Popularity", "general", "Popularity", "the standard baseline"),
    Family(ItemKnnOptions, "recsys.models.item_knn:ItemKnn", "general", "Item-kNN", "Deshpande and Karypis, TOIS 2004"),
    Family(Rp3betaOptions, "recsys.models.rp3beta:Rp3beta", "general", "RP3beta", "Paudel et al., TiiS 2017"),
    Family(EaseOptions, "recsys.models.ease:Ease", "general", "EASE", "Steck, WWW 2019"),
    Family(
        EaseTextOptions,
        "recsys.models.ease_text:EaseText",
        "text",
        "EASE with text",
        "Jeunen et al., RecSys 2020; L3AE, CIKM 2025",
        takes=("item", "user"),
        needs=("item",),
    ),
    Family(
        BlendOptions, "recsys.models.blend:Blend", "blend", "Blend", "Vogt and Cottrell, Information Retrieval 1999"
    ),
    Family(MfBprOptions, "recsys.models.mf_bpr:MfBpr", "general", "MF-BPR", "Rendle et al., UAI 2009"),
    Family(LightGcnOptions, "recsys.models.lightgcn:LightGCN", "general", "LightGCN", "He et al., SIGIR 2020"),
    Family(NgcfOptions, "recsys.models.ngcf:NGCF", "general", "NGCF", "Wang et al., SIGIR 2019"),
    Family(
        VbprOptions,
        "recsys.models.vbpr:VBPR",
        "side information",
        "VBPR",
        "He & McAuley, AAAI 2016",
        takes=("item",),
        needs=("item",),
    ),
    Family(
        MmgcnOptions,
        "recsys.models.mmgcn:MMGCN",
        "side information",
        "MMGCN",
        "Wei et al., MM 2019",
        takes=("item",),
        needs=("item",),
    ),
    Family(
        GrcnOptions,
        "recsys.models.grcn:GRCN",
        "side information",
        "GRCN",
        "Wei et al., MM 2020",
        takes=("item",),
        needs=("item",),
    ),
    Family(
        LatticeOptions,
        "recsys.models.lattice:LATTICE",
        "augmentation",
        "LATTICE",
        "Zhang et al., MM 2021",
        takes=("item",),
        needs=("item",),
    ),
    Family(
        MicroOptions,
        "recsys.models.micro:MICRO",
        "augmentation",
        "MICRO",
        "Zhang et al., TKDE 2022",
        takes=("item",),
        needs=("item",),
    ),
    Family(
        ClcrecOptions,
        "recsys.models.clcrec:CLCRec",
        "self-supervised",
        "CLCRec",
        "Wei et al., MM 2021",
        takes=("item",),
        needs=("item",),
    ),
    Family(
        MmsslOptions,
        "recsys.models.mmssl:MMSSL",
        "self-supervised",
        "MMSSL",
        "Wei et al., WWW 2023",
        takes=("item",),
        needs=("item",),
    ),
    Family(
        LLMRecOptions,
        "recsys.models.llmrec:LLMRec",
        "LLM",
        "LLMRec",
        "Wei et al., WSDM 2024",
        takes=("item", "user", "attributes"),
    ),
)
FAMILIES: dict[str, Family] = {family.name: family for family in _ALL}

if TYPE_CHECKING:
    ModelOptions = FamilyOptions
else:
    ModelOptions = Annotated[Union[tuple(family.options for family in _ALL)], Field(discriminator="family")]  # noqa: UP007
    BlendOptions.model_rebuild(_types_namespace={"ModelOptions": ModelOptions})


def family_of(name: str) -> Family:
    """The family called `name`; an unknown name is a `UsageError` with the nearest known one."""
    if name in FAMILIES:
        return FAMILIES[name]
    near = difflib.get_close_matches(name, FAMILIES, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise UsageError(f"unknown model family '{name}'", remedy=f"{hint}known: {', '.join(FAMILIES)}")
