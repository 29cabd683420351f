"""Sections of a config as plain values: laying changes over them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

DISCRIMINATORS = ("kind", "family", "format")


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `change` laid over it, section by section; neither is modified.

    A section of another kind (`kind`, `family` or `format` differ) replaces the old one as a whole, and null removes a
    section of the base. A dotted key names a value inside sections.
    """
    result = copy.deepcopy(dict(base))
    for key, value in nested(change).items():
        old = result.get(key)
        if isinstance(old, dict) and value is None:
            del result[key]
        elif isinstance(old, dict) and isinstance(value, dict) and not _of_another_kind(old, value):
            result[key] = merged(old, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def _of_another_kind(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return any(key in old and key in new and old[key] != new[key] for key in DISCRIMINATORS)


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as sections within sections: {"a.b": 1} is {"a": {"b": 1}}."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        section, *inner = str(key).split(".", 1)
        content = nested({inner[0]: value}) if inner else nested(value) if isinstance(value, Mapping) else value
        old = result.get(section)
        both = isinstance(old, dict) and isinstance(content, dict)
        result[section] = merged(old, content) if both else content  # type: ignore[arg-type]
    return result
