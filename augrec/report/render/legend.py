"""How kinds of things are told apart, by shape as well as by colour, in plots and in tables."""

from __future__ import annotations

from dataclasses import dataclass

from augrec.report.render.svg import INK, MUTED, SERIES


@dataclass(frozen=True)
class Look:
    """A kind: its name in the key, the sign before its name in HTML, and its marker in plots.

    `kind` is also the class of the sign in the style sheet.
    """

    kind: str
    title: str
    sign: str
    marker: str
    colour: str
    filled: bool = True


LOOKS = {
    look.kind: look
    for look in (
        Look("published", "text published with a paper", "◆", "D", SERIES[3]),
        Look("llm", "text, or an order of lists, by an LLM", "●", "o", SERIES[0]),
        Look("rule", "text, or an order of lists, by a rule, without an LLM", "■", "s", SERIES[2]),
        Look("control", "control: text, or an order, that cannot know the user", "△", "^", SERIES[1], filled=False),
        Look("none", "no text at all", "✕", "X", INK),
    )
}
UNKNOWN = Look("other", "other", "•", "o", MUTED, filled=False)


def look_of(kind: str | None) -> Look:
    """The look of a kind; kinds that are not known look neutral."""
    return LOOKS.get(kind or "", UNKNOWN)
