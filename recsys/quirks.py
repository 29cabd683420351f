"""One switch for all quirks of a published code. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import model_validator

from augrec.artefacts.options import Options


class Released(Options):
    """Mixin of options whose defaults correct the published code: `released` brings the code's own ways back."""

    quirks: ClassVar[Mapping[str, Any]] = {}
    """The options in which the published code differs from the defaults, with its values."""

    released: bool = False
    """Sets every option in which the authors' code differs from the default, except those that are given beside it. A
    saved config shows what it set. Weights, layers and temperatures, which differ by data set, are not among them."""

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, given: Any) -> Any:
        return cls.as_released(given) if isinstance(given, Mapping) and given.get("released") is True else given

    @classmethod
    def as_released(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Options as they were written, with the quirks that are not among them."""
        return {**cls.quirks, **given}
