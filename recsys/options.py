"""Every option of `recsys` beyond the data set, in one place to import from. Importable without torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from augrec.artefacts.options import Options
from recsys.models.registry import ModelOptions
from recsys.training_options import TrainingOptions, TrainingOverrides

__all__ = ["EvaluationOptions", "ModelOptions", "TrainingOptions", "TrainingOverrides"]


class EvaluationOptions(Options):
    """How rankings are judged. Every item is ranked; training items are never candidates."""

    cutoffs: tuple[PositiveInt, ...] = Field((10, 20, 50), min_length=1)
    """The k of recall@k and its siblings."""
    protocol: Literal["standard", "official"] = "standard"
    """`standard`: textbook metrics, and at test time validation items are masked like training items (they are known
    by then; leaving them in lowers recall by several per cent). `official`: as in LLMRec's code, an NDCG whose ideal
    comes from the retrieved hits and validation items left in; only for comparison with figures so made. Selection is
    on validation in both."""
    mask_valid_at_test: bool | None = None
    """Whether validation items are left out of the test ranking; None follows the protocol."""
    chunk: PositiveInt | None = None
    """Users scored at a time, a matter of memory only; None takes as many as have 2^22 scores (16 MiB), at least 64."""
    tie_seed: NonNegativeInt = 0
    """Seeds the hash of user and item that breaks ties between equal scores."""

    @property
    def masks_validation(self) -> bool:
        """`mask_valid_at_test` with the protocol's default filled in."""
        return self.protocol == "standard" if self.mask_valid_at_test is None else self.mask_valid_at_test
