"""Turns pydantic's validation errors into sentences with the nearest known key."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from augrec.artefacts.names import did_you_mean
from augrec.artefacts.registry import field_annotation, unfolded

KINDS = {
    "should be a section with keys of its own": ("dict_type", "model_type", "model_attributes_type"),
    "should be a list": ("list_type", "tuple_type"),
    "should be a whole number": ("int_type", "int_parsing", "int_from_float"),
    "should be a number": ("float_type", "float_parsing"),
    "should be a text": ("string_type",),
    "should be true or false": ("bool_type", "bool_parsing"),
    "should have {min_length} or more, and has {actual_length}": ("too_short",),
}
SAID = {kind: said for said, kinds in KINDS.items() for kind in kinds}
"""What pydantic says in Python's words, in those of a config."""


def explain(error: ValidationError, root: type[BaseModel], raw: Mapping[str, Any]) -> list[str]:
    """One sentence per problem: the dotted key, what is wrong, and the nearest known key or value.

    Args:
        error: what validation found.
        root: the sections' class.
        raw: the sections.
    """
    return [_sentence(dict(problem), root, raw) for problem in error.errors(include_url=False)]


def _sentence(problem: dict[str, Any], root: type[BaseModel], raw: Mapping[str, Any]) -> str:
    location, owner = _walk(root, problem["loc"])
    if location[-1:] == ["[key]"]:  # the name of an entry is wrong, which the message quotes
        location = location[:-2]
    key = ".".join(location)
    kind = problem["type"]
    if kind == "extra_forbidden":
        return f"{key}: unknown key{_nearest_or_all(location[-1], _keys(owner))}"
    if kind == "missing":
        return f"{key}: required, but missing"
    if kind in ("union_tag_invalid", "literal_error"):
        context = problem["ctx"]
        given = context.get("tag", problem["input"])
        expected = context.get("expected_tags") or context.get("expected", "")
        known = [value.strip().strip("'") for value in expected.replace(" or ", ", ").split(",")]
        where = ".".join((*location, context["discriminator"].strip("'"))) if "tag" in context else key
        return f"{where}: '{given}' is not one of {', '.join(known)}{did_you_mean(str(given), known)}"
    if kind == "union_tag_not_found":
        return f"{key}: the key {problem['ctx']['discriminator']} is missing; it says which kind of section this is"
    if problem["input"] is None and owner is None and isinstance(others := _at(raw, location[:-1]), Mapping):
        return _not_removed(location, others)
    message = problem["msg"].removeprefix("Value error, ")
    if kind in SAID:
        message = SAID[kind].format_map(problem.get("ctx", {}))
    if not key:
        return message
    shown = "null" if problem["input"] is None else repr(problem["input"])
    given = "" if kind == "value_error" or len(shown) > 60 else f" (given: {shown})"
    return f"{key}: {message[0].lower()}{message[1:]}{given}"


def _not_removed(location: list[str], others: Mapping[str, Any]) -> str:
    """Of a null that takes no member out of a mapping: there is none, or it is a value."""
    key, name, mapping = ".".join(location), location[-1], ".".join(location[:-1])
    left = {other: value for other, value in others.items() if value is not None}
    if any(isinstance(value, Mapping) for value in left.values()):
        known = _nearest_or_all(name, map(str, left))
        return f"{key}: null takes out a section that is there, and '{name}' is none{known}"
    flow = yaml.safe_dump(left, default_flow_style=True, width=math.inf, sort_keys=False).strip()
    return f"{key}: null is no value here; to take a value out, write those that stay: {mapping}={flow}"


def _at(raw: Mapping[str, Any], location: list[str]) -> Any:
    """What lies at a place of the sections; None where nothing does."""
    value: Any = raw
    for step in location:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _walk(root: type[BaseModel], location: tuple[int | str, ...]) -> tuple[list[str], type[BaseModel] | None]:
    """The location without union tags, and the model whose key comes last (None when it is no model's)."""
    shown: list[str] = []
    current: Any = root
    owner: type[BaseModel] | None = None
    for step in location:
        current, tagged = _choose(current, step)
        if tagged:
            continue
        shown.append(str(step))
        owner = current if _is_model(current) else None
        current = _child(current, step)
    return shown, owner


def _choose(annotation: Any, step: int | str) -> tuple[Any, bool]:
    """Picks the union member that `step` belongs to; the flag says that `step` is only the member's tag."""
    annotation = unfolded(annotation)
    if get_origin(annotation) not in (Union, UnionType):
        return annotation, False
    members = [unfolded(member) for member in get_args(annotation) if member is not type(None)]
    for member in members:
        if _is_model(member) and step in _tags(member):
            return member, True
    if len(members) == 1:
        return _choose(members[0], step)
    fitting = [member for member in members if _child(member, step) is not None]
    return (fitting[0] if fitting else members[0]), False


def _child(annotation: Any, step: int | str) -> Any:
    annotation = unfolded(annotation)
    if _is_model(annotation):
        return field_annotation(annotation, str(step)) if str(step) in annotation.model_fields else None
    arguments = get_args(annotation)
    return arguments[-1] if get_origin(annotation) in (dict, list, tuple) and arguments else None


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _tags(model: type[BaseModel]) -> set[Any]:
    """The values of a model's Literal fields that can serve as its discriminator: those with one value only."""
    annotations = (field_annotation(model, name) for name in model.model_fields)
    values = (get_args(annotation) for annotation in annotations if get_origin(annotation) is Literal)
    return {only[0] for only in values if len(only) == 1}


def _keys(model: type[BaseModel] | None) -> list[str]:
    return list(model.model_fields) if model else []


def _nearest_or_all(given: str, known: Iterable[str]) -> str:
    known = list(known)
    return did_you_mean(given, known) or (f"; known here: {', '.join(known)}" if known else "")
