"""How the kinds of arms are told apart, by shape as well as by colour, in plots and in tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from augrec.report.render.svg import INK, MUTED, SERIES


@dataclass(frozen=True)
class Look:
    """A kind of arm: its name in the key, the sign before its name in HTML, and its marker in plots."""

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
        Look("llm", "text by an LLM", "●", "o", SERIES[0]),
        Look("rule", "text by a rule, without an LLM", "■", "s", SERIES[2]),
        Look("control", "control: text that cannot know the user", "△", "^", SERIES[1], filled=False),
        Look("none", "no text at all", "✕", "X", INK),
    )
}
UNKNOWN = Look("other", "other", "•", "o", MUTED, filled=False)


def look_of(kind: str | None) -> Look:
    """The look of a kind; kinds that are not known look neutral."""
    return LOOKS.get(kind or "", UNKNOWN)


def arm_looks(content: dict[str, Any]) -> dict[str, Look]:
    """Arm name -> look."""
    return {arm["name"]: look_of(arm.get("kind")) for arm in content["arms"]}


def source_looks(content: dict[str, Any]) -> dict[str, Look]:
    """Source name -> the look of the arm that uses its texts as they are; a source of controls alone looks so."""
    looks: dict[str, Look] = {}
    for arm in content["arms"]:
        source, kind = arm.get("source"), arm.get("kind")
        if source and (source not in looks or looks[source].kind == "control"):
            looks[source] = look_of(kind)
    return looks


def key_of(content: dict[str, Any]) -> list[Look]:
    """The looks that occur, in a fixed order."""
    used = set(arm_looks(content).values())
    return [look for look in (*LOOKS.values(), UNKNOWN) if look in used]


def arm_titles(content: dict[str, Any]) -> dict[str, str]:
    """Arm name -> title, or the name where there is none."""
    return {arm["name"]: arm.get("title") or arm["name"] for arm in content["arms"]}


def recommender_titles(content: dict[str, Any]) -> dict[str, str]:
    """Recommender name -> title, or the name where there is none."""
    return {found["name"]: found.get("title") or found["name"] for found in content["recommenders"]}
