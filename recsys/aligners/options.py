"""Options of aligners. No torch here."""

from __future__ import annotations

from typing import Literal

from augrec.artefacts.options import Options


class AlignerOptions(Options):
    """Base of every aligner's options; `kind` is a `Literal` in the subclass and tells them apart."""

    kind: str
    """The name of the aligner."""


class NoAlignerOptions(AlignerOptions):
    """The model as it is."""

    kind: Literal["none"] = "none"
