"""Families of models by name; `recsys.models.registry` registers those that are shipped."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, Literal

from augrec.artefacts.registry import OneOf, Registry
from recsys.aligners.registry import Alignment
from recsys.models.options.base import FamilyOptions, SideAugmentation

Input = Literal["item", "user", "attributes", "nodes"]


@dataclass(frozen=True)
class Family:
    """A kind of recommender, as configs and tables know it.

    Attributes:
        options: the class of its options; their `family` is its name.
        model: `module:class`, imported when a model is built (`recsys.models.build`), so that reading a config does not
            load torch. The class has a classmethod `build(dataset, side, options, generator)`.
        kind: its group in tables.
        title: its name in tables.
        paper: the paper that published it.
        takes: the parts of `SideInformation` that its models read (edges and side scales have options of their own).
        needs: those of them that a model with default options cannot be built without.
    """

    options: type[FamilyOptions]
    model: str
    kind: Literal[
        "general",
        "text",
        "side information",
        "augmentation",
        "self-supervised",
        "LLM",
        "blend",
        "sequential",
        "ratings",
    ]
    title: str
    paper: str
    takes: tuple[Input, ...] = ()
    needs: tuple[Input, ...] = ()

    @property
    def name(self) -> str:
        """The name in configs."""
        return self.options.model_fields["family"].default

    def needed(self, options: FamilyOptions) -> frozenset[str]:
        """The inputs that a model with these options, or one of its components, cannot be built without."""
        parts = options.components.values()
        own = frozenset(self.needs) - options.does_without if options.reads_features else frozenset()
        return own.union(*(FAMILIES[part.family].needed(part) for part in parts))

    def compared(self, options: FamilyOptions) -> dict[str, tuple[str, ...]]:
        """The inputs whose vectors have to be of one encoder, by the option of such a model that has it so."""
        found = dict(options.compared)
        if isinstance(options, SideAugmentation) and options.side.attribute:
            found["side.attribute"] = ("attributes",)
        if isinstance(options, Alignment) and options.aligner_kind.takes:
            found["aligner"] = options.aligner_kind.takes
        for name, part in options.components.items():
            found |= {f"{name}.{key}": inputs for key, inputs in FAMILIES[part.family].compared(part).items()}
        return found

    def uses_features(self, options: FamilyOptions) -> bool:
        """Whether a model with these options reads features of users or items, or nodes; other models get none."""
        own = "nodes" in self.takes and options.reads_features
        parts = options.components.values()
        return own or self.uses_vectors(options) or any(FAMILIES[part.family].uses_features(part) for part in parts)

    def uses_vectors(self, options: FamilyOptions) -> bool:
        """Whether a model with these options reads feature matrices, which some stage has to make."""
        if any(FAMILIES[part.family].uses_vectors(part) for part in options.components.values()):
            return True
        own = bool({*self.takes} - {"nodes"}) and options.reads_features
        added = isinstance(options, SideAugmentation) and options.side.active
        return own or added or (isinstance(options, Alignment) and bool(options.aligner_kind.takes))

    def modules(self, options: FamilyOptions) -> tuple[str, ...]:
        """The modules of this family: its model and options, and those of its components and its aligner."""
        parts = options.components.values()
        theirs = [module for part in parts for module in FAMILIES[part.family].modules(part)]
        theirs += options.aligner_kind.modules if isinstance(options, Alignment) else ()
        return (self.model.partition(":")[0], self.options.__module__, *theirs)

    def model_class(self) -> Any:
        """Imports and returns the class of its models."""
        module, _, name = self.model.partition(":")
        return getattr(import_module(module), name)


FAMILIES: Registry[Family] = Registry("model family")
ModelOptions = Annotated[FamilyOptions, OneOf(FAMILIES, "family")]
"""The options of a model, of the family that their `family` names."""
