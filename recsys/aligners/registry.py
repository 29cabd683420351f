"""The aligners by name. Adding one is a file with its class, a class of options, and one entry here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Literal

from augrec.artefacts.options import Options
from augrec.artefacts.registry import OneOf, Registry
from recsys.aligners.options import (
    AlignerOptions,
    ConOptions,
    GenOptions,
    KarOptions,
    NoAlignerOptions,
    ProMaxOptions,
)

if TYPE_CHECKING:
    from recsys.aligners.base import Aligner


@dataclass(frozen=True)
class AlignerKind:
    """A kind of aligner.

    Attributes:
        options: its options; their `kind` is its name.
        aligner: `module:class`, imported when a model is built; a subclass of `Aligner`.
        title: its name in tables.
        paper: the source.
        takes: the parts of `SideInformation` that it reads.
    """

    options: type[AlignerOptions]
    aligner: str
    title: str
    paper: str
    takes: tuple[Literal["item", "user", "attributes"], ...] = ()

    @property
    def name(self) -> str:
        """The name in configs."""
        return self.options.model_fields["kind"].default

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that are this kind's alone."""
        return self.aligner.partition(":")[0], self.options.__module__

    def aligner_class(self) -> type[Aligner]:
        """The class; imports it."""
        module, _, name = self.aligner.partition(":")
        kind: Any = getattr(import_module(module), name)
        return kind


ALIGNERS: Registry[AlignerKind] = Registry("aligner")
RLMREC = "Ren et al., WWW 2024"
for _kind in (
    AlignerKind(NoAlignerOptions, "recsys.aligners.base:Aligner", "none", "-"),
    AlignerKind(ConOptions, "recsys.aligners.con:Con", "RLMRec-Con", RLMREC, takes=("item", "user")),
    AlignerKind(GenOptions, "recsys.aligners.gen:Gen", "RLMRec-Gen", RLMREC, takes=("item", "user")),
    AlignerKind(KarOptions, "recsys.aligners.kar:Kar", "KAR", "Xi et al., RecSys 2024", takes=("item", "user")),
    AlignerKind(
        ProMaxOptions,
        "recsys.aligners.promax:ProMax",
        "ProMax",
        "SIGIR 2026 (arXiv 2604.26231)",
        takes=("item", "user"),
    ),
):
    ALIGNERS.register(_kind)


class Alignment(Options):
    """Mixin of every graph model: an aligner may stand between its first layer and its last."""

    aligner: Annotated[AlignerOptions, OneOf(ALIGNERS, "kind")] = NoAlignerOptions()
    """What ties the embeddings to something else, by its `kind`; `none` leaves the model as it is."""

    @property
    def aligner_kind(self) -> AlignerKind:
        """The kind of `aligner`."""
        return ALIGNERS.find(self.aligner.kind)
