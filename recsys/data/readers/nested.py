"""Values inside values, as JSON and Parquet hold them, as text or as several values.

A path such as `details.Brand` names the value of a key; of a list of objects, the value of the key in each of them.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

BESIDE = ("name", "title", "value", "label")
"""Keys of which the first one that every object has stands for the object."""

_QUOTED = re.compile(r"""'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*\"""")
_ARRAY = re.compile(rf"\[\s*(?:{_QUOTED.pattern})(?:\s+(?:{_QUOTED.pattern}))+\s*\]")


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
    """The values that a text spells out in JSON, as Python prints a list, a tuple, a set or an object, or as NumPy
    prints an array (['Drama' 'War'], which Python reads as one word); None when it spells none."""
    text = text.strip()
    if text == "set()":
        return []
    if text[:1] + text[-1:] not in ("[]", "()", "{}"):
        return None
    if _ARRAY.fullmatch(text):
        return [ast.literal_eval(part) for part in _QUOTED.findall(text)]
    for parse in (json.loads, literal):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return [value] if isinstance(value, dict) else value if isinstance(value, list) else None
    return None


def literal(text: str) -> Any:
    """The value of a Python literal: tuples and sets as lists in the order of the text, nan and inf as None.

    Raises:
        ValueError: it is anything else.
        SyntaxError: it is no Python.
    """
    try:
        value = ast.literal_eval(text)  # twice as fast, and what lines of files are
        if isinstance(value, (dict, list)):
            return value
    except ValueError:
        pass
    try:
        return ast.literal_eval(_Plain().visit(ast.parse(text, mode="eval")))
    except (ValueError, TypeError):  # their messages name places in memory
        raise ValueError("it holds more than a literal of Python") from None


class _Plain(ast.NodeTransformer):
    """A literal with what JSON has alone."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(None) if node.id in ("nan", "inf") else node

    def visit_Tuple(self, node: ast.Tuple) -> ast.expr:
        return self.generic_visit(ast.List(node.elts, ast.Load()))  # type: ignore[return-value]

    def visit_Set(self, node: ast.Set) -> ast.expr:
        return self.generic_visit(ast.List(node.elts, ast.Load()))  # type: ignore[return-value]
