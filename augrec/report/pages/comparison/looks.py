"""The looks and titles of the arms, sources and recommenders of a comparison."""

from __future__ import annotations

from typing import Any

from augrec.report.render.legend import LOOKS, UNKNOWN, Look, look_of


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
