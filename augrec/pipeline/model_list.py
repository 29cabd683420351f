"""`augrec models`: which recommenders there are, what each needs, and every option of one of them."""

from __future__ import annotations

import json
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from augrec.artefacts.options import Options
from augrec.pipeline.host.terminal import Kind, OpenTable
from recsys.models.options.base import EdgeAugmentation, ModalityOptions, SequenceAugmentation, SideAugmentation
from recsys.models.registry import FAMILIES, Family

INPUTS = {
    "item": "features of items: text, images (`embedding`, `features`)",
    "user": "user profiles, written by an LLM or the heuristic",
    "attributes": "item attributes, the data's own and written ones",
    "nodes": "values of attributes, the data's own and written ones: nodes of the graph, or fields of a pair",
    "times": "times of interactions, which say what came next",
    "edges": "suggested user-item pairs in the batches (`aug_sample_rate`, `aug_pool`)",
    "side": "side features added to the final embeddings (`side`)",
    "insertions": "suggested interactions in training sequences (`insertion_rate`)",
}


def describe_families() -> list[dict[str, Any]]:
    """One entry per family, in the order of the registry, as JSON values."""
    return [_described(family) for family in FAMILIES.values()]


def render_families(console: Console) -> None:
    """The table of all families."""
    rows = []
    for family in FAMILIES.values():
        needs, optional = _inputs(family)
        source = f"{family.title}, {family.paper}"
        rows.append((family.name, family.kind, source, " ".join(needs) or "-", " ".join(optional) or "-"))
    columns: dict[str, Kind] = {"family": "name", "kind": "name", "paper": "text", "needs": "text", "can take": "text"}
    console.print(OpenTable(columns, rows))
    console.print("\n" + "\n".join(f"{name:<12}{meaning}" for name, meaning in INPUTS.items()), style="dim")
    console.print("\nOptions of one: augrec models FAMILY", markup=False, highlight=False)


def render_family(name: str, console: Console) -> None:
    """What one family is, and its options with defaults; an unknown name is a `UsageError`."""
    family = FAMILIES.find(name)
    needs, optional = _inputs(family)
    console.print(Text(f"{family.title}, {family.paper}  ({family.name})", style="bold"))
    for title, inputs in (("needs", needs), ("can take", optional)):
        listed = ", ".join(inputs)
        console.print(Text(f"{title}: {listed or 'interactions only'}")) if listed or title == "needs" else None
    for option in _options(family.options):
        console.print(Text.assemble("\n", (option["option"], "bold"), f" = {json.dumps(option['default'])}"))
        console.print(Padding(Text(option["meaning"]), (0, 0, 0, 4)), soft_wrap=False)


def describe_family(name: str) -> dict[str, Any]:
    """One family with its options, as JSON values; an unknown name is a `UsageError`."""
    family = FAMILIES.find(name)
    return {**_described(family), "options": _options(family.options)}


def _described(family: Family) -> dict[str, Any]:
    needs, optional = _inputs(family)
    return {
        "family": family.name,
        "name": family.title,
        "kind": family.kind,
        "paper": family.paper,
        "needs": needs,
        "can_take": optional,
    }


def _inputs(family: Family) -> tuple[list[str], list[str]]:
    """What a family needs beyond interactions, and what it takes where there is some."""
    needs: list[str] = list(family.needs)
    optional: list[str] = [name for name in family.takes if name not in family.needs]
    if issubclass(family.options, EdgeAugmentation):
        optional.append("edges")
    if issubclass(family.options, SideAugmentation):
        optional.append("side")
    if issubclass(family.options, SequenceAugmentation):
        needs.append("times")
        optional.append("insertions")
    return needs, optional


def _options(options: type[Options], prefix: str = "") -> list[dict[str, Any]]:
    """The options of a section, those of sections inside it by dotted name."""
    found = []
    for name, field in options.model_fields.items():
        if name == "family":
            continue
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Options):
            found += _options(inner, f"{prefix}{name}.")
            continue
        meaning = " ".join((field.description or "").split())
        found.append({"option": f"{prefix}{name}", "default": _default(field), "meaning": meaning})
    mixins = (ModalityOptions, EdgeAugmentation, SequenceAugmentation)
    shared = {*(name for mixin in mixins for name in mixin.model_fields), "training"}  # after the family's own
    return sorted(found, key=lambda option: option["option"] in shared or "." in option["option"])


def _default(field: FieldInfo) -> Any:
    """The default of an option as a JSON value."""
    return "required" if field.is_required() else to_jsonable_python(field.get_default(call_default_factory=True))
