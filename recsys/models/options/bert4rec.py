"""Options of BERT4Rec."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from recsys.models.options.sequential import SequenceOptions


class Bert4RecOptions(SequenceOptions):
    """BERT4Rec: self-attention to both sides, trained to say which items were hidden."""

    family: Literal["bert4rec"] = "bert4rec"
    hide: float = Field(0.5, gt=0, lt=1)
    """The chance that an item of a training window is hidden (`rho`)."""
    hide_newest: float = Field(0.1, ge=0, le=1)
    """The share of training windows in which only the newest item is hidden, as when the model is asked."""
