"""Text of others that is shown or stored holds nothing that no file can hold."""

from __future__ import annotations

import random
import re

import pytest

from augrec.artefacts.visible import without_surrogates


@pytest.mark.parametrize("seed", range(20))
def test_every_lone_surrogate_is_replaced_and_nothing_else(seed: int) -> None:
    """Halves that stand in pairs do not occur: Python joins them when it reads JSON."""
    rng = random.Random(seed)
    text = "".join(rng.choice(["\udc00a", "\udfff", "x\ud800y", "\ufeff", "\ufffd", "é", "😀", " "]) for _ in range(40))
    assert without_surrogates(text) == re.sub("[\ud800-\udfff]", "\ufffd", text)
    assert without_surrogates(f"{text}\ud83d") == without_surrogates(text) + "\ufffd"
