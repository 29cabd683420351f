"""The base class of the options of model families, and the mixins that several of them share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, NonNegativeFloat

from augrec.artefacts.options import Options
from recsys.options import Judged, TrainingOptions, TrainingOverrides


class FamilyOptions(Options):
    """Base of every family's options; in a subclass `family` is a `Literal` that names the family."""

    judged: ClassVar[Judged] = Judged.RANKING
    """What its models are evaluated by; families that rank the next item or predict ratings override it."""

    family: str
    """The name of the model family."""
    training: TrainingOverrides | None = None
    """Training options that this model sets differently."""

    @property
    def components(self) -> Mapping[str, FamilyOptions]:
        """The options of the models that this one is made of, by their key in its own options; empty for most."""
        return {}

    @property
    def does_without(self) -> frozenset[str]:
        """The inputs that the family needs (`Family.needs`) but a model with these options does not."""
        return frozenset()

    @property
    def compared(self) -> dict[str, tuple[str, ...]]:
        """The inputs whose vectors have to be of one encoder, by the option that has them meet in one layer or cosine;
        of the family's own, see `Family.compared`."""
        return {}

    @property
    def reads_features(self) -> bool:
        """Whether a model with these options reads the features that its family takes."""
        return True

    def training_within(self, training: TrainingOptions) -> TrainingOptions:
        """The training options of such a model: those of the run, with those that it sets differently."""
        return self.training.applied_to(training) if self.training else training

    def check_training(self, training: TrainingOptions) -> None:
        """Raises `UsageError`, which names the option, if a model with these options cannot be trained like this."""


class EdgeAugmentation(Options):
    """Mixin of every pairwise model: suggested edges (`SideInformation.edges`) join the observed triplets."""

    aug_sample_rate: NonNegativeFloat = Field(0.0, le=1.0)
    """The share of a batch's triplets whose user also contributes its suggested triplet; 0 uses none."""
    aug_pool: bool = False
    """Whether every suggested triplet stands once per epoch among the observed ones, in place of a share of them: the
    union of both that Llama4Rec trains on. `aug_sample_rate` then plays no part."""


class SequenceAugmentation(Options):
    """Mixin of every model of sequences: suggested interactions (`SideInformation.insertions`) join the sequences."""

    insertion_rate: NonNegativeFloat = Field(0.0, le=1.0)
    """The chance that a suggested interaction stands in its user's training sequence, drawn anew in every epoch; 0 uses
    none, 1 all. What a model is asked with is always the user's own sequence."""


class SideScales(Options):
    """How much of each kind of side feature is added to a model's final embeddings; 0 leaves a kind out."""

    modality: NonNegativeFloat = 0.0
    """Weight of each normalised item modality (text, image)."""
    profile: NonNegativeFloat = 0.0
    """Weight of the normalised user profile."""
    attribute: NonNegativeFloat = 0.0
    """Weight of each normalised item attribute."""

    @property
    def active(self) -> bool:
        """Whether anything is added."""
        return max(self.modality, self.profile, self.attribute) > 0


class SideAugmentation(Options):
    """Mixin of every model to whose embeddings LLMRec's side features can be added, as LLMRec adds them to its own."""

    side: SideScales = SideScales()
    """Projected, propagated, normalised and scaled side features join the final embeddings; none by default."""


class ModalityOptions(Options):
    """Mixin of every model that reads item modalities."""

    modalities: tuple[str, ...] | None = Field(None, min_length=1)
    """Which item modalities are read, e.g. [text, image]; null reads all that the data have, and needs at least one."""
