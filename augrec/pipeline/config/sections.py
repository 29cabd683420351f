"""Sections of a YAML file: read as plain values, overridden by `key=value`, and validated as typed options.

What YAML and pydantic would read as something else than was written is refused by name, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from augrec.artefacts.errors import UsageError
from augrec.artefacts.names import suggestion
from augrec.artefacts.options import Options
from augrec.artefacts.plugins import load_plugins
from augrec.artefacts.registry import rebuild
from augrec.pipeline.config.explain import explain

Section = TypeVar("Section", bound=Options)
MOST_VALUES = 100_000
"""Values of a config with its aliases unfolded; those shipped have a few hundred."""


class _PlainLoader(yaml.SafeLoader):
    """SafeLoader that refuses what YAML silently reads as something else than people write: a key given twice, of which
    it would keep the last, 010 (which is 8 there) and 1:30 (90)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        """A number in the digits of its text."""
        text = node.value.lstrip("+-").replace("_", "")
        number: int | float = (
            self.construct_yaml_int(node) if node.tag.endswith(":int") else self.construct_yaml_float(node)
        )
        if ":" in text or re.fullmatch("0[0-7]+", text):
            problem = f"{node.value} is {number} in YAML: write that, or quote it ('{node.value}') where it is a text"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return number


for _kind in ("int", "float"):
    _PlainLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", _PlainLoader.construct_number)


def read_sections(path: Path, overrides: list[str] | None = None) -> dict[str, Any]:
    """A YAML file as plain sections with the overrides applied; nothing in it is checked yet."""
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_PlainLoader)
    except FileNotFoundError:
        raise UsageError(
            "the config file does not exist",
            where=path,
            remedy=suggestion(path.name, [one.name for one in path.parent.glob("*.y*ml")])
            + "`augrec configs list` names those that are shipped, `augrec configs copy NAME` copies one",
        ) from None
    except IsADirectoryError:
        inside = sorted(one.name for one in path.glob("*.y*ml"))
        remedy = f"name the file: {path / inside[0]}" if len(inside) == 1 else "name a YAML file"
        raise UsageError("the config is a folder", where=path, remedy=remedy) from None
    except OSError as error:
        raise UsageError(f"the config cannot be read: {error.strerror}", where=path) from None
    except UnicodeDecodeError:
        raise UsageError("the config is not a text file", where=path, remedy="name a YAML file in UTF-8") from None
    except yaml.YAMLError as error:
        raise UsageError(f"the config is not valid YAML: {_yaml_problem(error)}", where=path) from None
    except RecursionError:
        raise UsageError("the config is nested too deep", where=path) from None
    if not isinstance(raw, dict):
        raise UsageError("the config is empty or not a mapping of sections", where=path)
    _refuse_unfolding(raw, path)
    for override in overrides or []:
        _override(raw, override)
    return raw


def _refuse_unfolding(raw: dict[Any, Any], path: Path) -> None:
    """Aliases (`*name`) cost a few letters each, and what they name may hold further ones, or itself."""
    count, waiting = 0, [raw]
    while waiting:
        inner: Any = waiting.pop()
        if isinstance(inner, dict | list):
            count += len(inner)
            waiting += inner.values() if isinstance(inner, dict) else inner
        if count > MOST_VALUES:
            raise UsageError(f"the config unfolds to more than {MOST_VALUES:,} values", where=path,
                             remedy="write out what its aliases (*name) repeat")  # fmt: skip


def validated(raw: dict[str, Any], kind: type[Section], where: Path | str, what: str = "config") -> Section:
    """The sections as typed options; otherwise a `UsageError` that lists every problem with its key."""
    load_plugins()
    try:
        read = rebuild(kind).model_validate(raw)
        problems = list(_truths_as_numbers(raw, read, ()))
    except ValidationError as error:
        problems = explain(error, kind, raw)
    if not problems:
        return read
    count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
    listed = "\n".join(f"  - {problem}" for problem in problems)
    raise UsageError(
        f"the {what} {'have' if what == 'arguments' else 'has'} {count}:\n{listed}",
        where=where,
        remedy={"config": "edit the file, or override with key=value", "arguments": None}.get(what, "edit the file"),
    )


def _truths_as_numbers(raw: Any, read: Any, place: tuple[str, ...]) -> Iterator[str]:
    """Numbers that were written as yes, no, on, off, true or false, which pydantic takes as 1 and 0."""
    if isinstance(raw, bool) and type(read) in (int, float):
        written = "yes, on or true" if raw else "no, off or false"
        yield f"{'.'.join(place)}: should be a number, not a truth value (given: {written})"
    elif isinstance(raw, Mapping):
        of = dict(read) if isinstance(read, BaseModel) else read if isinstance(read, Mapping) else {}
        for key in raw:
            yield from _truths_as_numbers(raw[key], of.get(key), (*place, str(key)))
    elif isinstance(raw, list) and isinstance(read, list | tuple) and len(raw) == len(read):
        for number, (one, other) in enumerate(zip(raw, read, strict=True)):
            yield from _truths_as_numbers(one, other, (*place, str(number)))


def _yaml_problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"{problem}, line {mark.line + 1}" if mark else problem


def _override(raw: dict[str, Any], override: str) -> None:
    path, text = _keys_and_value(raw, override)
    try:
        value = yaml.load(text, Loader=_PlainLoader)
    except yaml.YAMLError as error:
        key = ".".join(path)
        raise UsageError(f"the value of '{key}' is not valid YAML: {_yaml_problem(error)}", where=override) from None
    section = raw
    for step in path[:-1]:
        inner = section.setdefault(step, {})
        if not isinstance(inner, dict):
            raise UsageError(f"'{step}' in '{'.'.join(path)}' is a value, not a section", where=override)
        section = inner
    if value is None and isinstance(section.get(path[-1]), dict):
        del section[path[-1]]
    else:
        section[path[-1]] = value


def _keys_and_value(raw: dict[str, Any], override: str) -> tuple[list[str], str]:
    """The steps of a dotted key, and the text of its value.

    A name that is there is one step, whatever dots and "=" it holds: `settings.temperature=0.8=null`.
    """
    path, left, section = [], override, raw
    while True:
        there = [name for name in section if isinstance(name, str) and left.startswith((f"{name}.", f"{name}="))]
        step = max(there, key=len, default="") or re.split(r"[.=]", left, maxsplit=1)[0]
        path.append(step)
        sign, left = left[len(step) : len(step) + 1], left[len(step) + 1 :]
        if not step or not sign:
            raise UsageError(f"'{override}' is not key=value", remedy="write e.g. dataset.k_core=10 or seeds=[1,2,3]")
        if sign == "=":
            return path, left
        inner = section.get(step)
        section = inner if isinstance(inner, dict) else {}
