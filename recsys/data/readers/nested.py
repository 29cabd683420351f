"""Values inside values, as JSON and Parquet hold them, as text or as several values.

A path such as `details.Brand` names the value of a key; of a list of objects, the value of the key in each of them.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator
from typing import Any

BESIDE = ("name", "title", "value", "label")
"""Keys of which the first one that every object has stands for the object."""


class NumberText(str):
    """A number as its source writes it, so that 30 and 30.0 stay apart."""

    __slots__ = ()


def is_nested(value: Any) -> bool:
    """Whether an object stands anywhere inside."""
    return isinstance(value, dict) or (isinstance(value, list) and any(is_nested(part) for part in value))


def at_path(value: Any, keys: list[str]) -> Any:
    """What `keys` lead to; None where nothing is there."""
    for key in keys:
        if isinstance(value, list):
            value = [part[key] for part in value if isinstance(part, dict) and part.get(key) is not None]
        elif isinstance(value, dict):
            value = value.get(key)
        else:
            return None
    return value


def text_of(value: Any) -> str:
    """One text: the parts of a list one after the other, an object as "key: value; key: value", "" where nothing is.

    >>> text_of(["A wooden game.", None, "For two."])
    'A wooden game. For two.'
    """
    if isinstance(value, str):
        return value
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        parts = ((key, text_of(part)) for key, part in value.items())
        return "; ".join(f"{key}: {part}" for key, part in parts if part)
    if isinstance(value, (list, tuple)):
        if any(isinstance(part, (list, tuple, dict)) for part in value):
            return ", ".join(values_of(value))
        return " ".join(part for part in map(text_of, value) if part)
    return str(value)


def values_of(value: Any, separator: str | None = None) -> list[str]:
    """Several values, each once, in order: lists of lists are one list, objects stand for their name or their keys.

    Args:
        value: a list, an object, a text or None.
        separator: what separates the values of a text; None: nothing does.

    >>> values_of([["Toys", "Puzzles"], ["Toys", "Games"]])
    ['Toys', 'Puzzles', 'Games']
    """
    return list(dict.fromkeys(text for part in _parts(value, separator) if (text := part.strip())))


def _parts(value: Any, separator: str | None) -> Iterator[str]:
    if isinstance(value, str):
        written = listed(value)
        if written is not None:
            yield from _parts(written, None)
        else:
            yield from [value] if separator is None else value.split(separator)
    elif isinstance(value, dict):
        yield from _of_object(value)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _parts(part, None)
    else:
        yield text_of(value)


def _of_object(value: dict[str, Any]) -> Iterable[str]:
    """The object's name, else the keys that count for something: {"fiction": 12, "poetry": 0} is fiction."""
    for key in BESIDE:
        if isinstance(value.get(key), str):
            return [value[key]]
    return [key for key, count in value.items() if count not in (None, False, "", "0", 0)]


def listed(text: str) -> list[Any] | None:
    """The list that a text spells out in JSON or Python ("['Drama', 'War']"), or None when it spells none."""
    if not (text.startswith("[") and text.rstrip().endswith("]")):
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, list):
            return value
    return None
