"""Turns pydantic's validation errors into sentences with the nearest known key."""

from __future__ import annotations

from collections.abc import Iterable
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from augrec.artefacts.names import did_you_mean
from augrec.artefacts.registry import field_annotation, unfolded


def explain(error: ValidationError, root: type[BaseModel]) -> list[str]:
    """One sentence per problem: the dotted key, what is wrong, and the nearest known key or value."""
    return [_sentence(dict(problem), root) for problem in error.errors(include_url=False)]


def _sentence(problem: dict[str, Any], root: type[BaseModel]) -> str:
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
    message = problem["msg"].removeprefix("Value error, ")
    if not key:
        return message
    shown = repr(problem["input"])
    given = "" if kind == "value_error" or len(shown) > 60 else f" (given: {shown})"
    return f"{key}: {message[0].lower()}{message[1:]}{given}"


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
