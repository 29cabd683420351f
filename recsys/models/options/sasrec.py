"""Options of SASRec."""

from __future__ import annotations

from typing import ClassVar, Literal

from recsys.models.options.sequential import SequenceOptions
from recsys.quirks import Released


class NextItemOptions(SequenceOptions, Released):
    """A causal transformer that says after each item which comes next."""

    quirks: ClassVar = {"normalised": "queries"}

    loss: Literal["binary", "cross_entropy"] = "binary"
    """`binary`: every next item is told from one item that the user does not have, as in the paper. `cross_entropy`:
    from all items, by a softmax; it learns faster and usually ranks better."""
    normalised: Literal["inputs", "queries"] = "inputs"
    """What is normalised before attention. `queries`: only what asks, and attention adds to the normalised rows, as in
    the authors' code."""


class SasRecOptions(NextItemOptions):
    """SASRec: self-attention over a user's items so far, trained to say the next one at every step."""

    family: Literal["sasrec"] = "sasrec"
