"""Text of others that is shown or stored holds nothing that no file can hold."""

from __future__ import annotations

import random
import re

import pytest

from augrec.artefacts.visible import one_line, visible, without_surrogates


@pytest.mark.parametrize("seed", range(20))
def test_every_lone_surrogate_is_replaced_and_nothing_else(seed: int) -> None:
    """Halves that stand in pairs do not occur: Python joins them when it reads JSON."""
    rng = random.Random(seed)
    text = "".join(rng.choice(["\udc00a", "\udfff", "x\ud800y", "\ufeff", "\ufffd", "é", "😀", " "]) for _ in range(40))
    assert without_surrogates(text) == re.sub("[\ud800-\udfff]", "\ufffd", text)
    assert without_surrogates(f"{text}\ud83d") == without_surrogates(text) + "\ufffd"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\n\u202eb", "a b"),
        ("\x1b]0;title\x07 done\r\n", "]0;title done"),
        ("in\u200bvisible \u3164 \u2066x\u2069", "in visible x"),
        ("half \ud83d a pair", "half \ufffd a pair"),
        ("", ""),
        ("x" * 50, "x" * 10),
    ],
)
def test_a_message_becomes_one_short_line(text: str, line: str) -> None:
    assert one_line(text, 10 if len(text) > 20 and text[0] == "x" else 30) == line


@pytest.mark.parametrize("seed", range(10))
def test_whatever_the_text_a_line_is_printable_and_hides_nothing(seed: int) -> None:
    rng = random.Random(seed)
    text = "".join(chr(rng.choice([rng.randrange(0x300), rng.randrange(0x2000, 0x20FF), rng.randrange(0x110000)]))
                   for _ in range(200))  # fmt: skip
    line = one_line(text, 80)
    assert len(line) <= 80
    assert line.isprintable()
    assert "\u27e8U+" not in visible(line)
    line.encode()
