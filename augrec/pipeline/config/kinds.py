"""Which kind of config a file is, by its sections: a run, an experiment, a comparison or a search space."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augrec.artefacts.errors import UsageError


@dataclass(frozen=True)
class ConfigKind:
    """One kind: its name with an article, the sections that tell it, and the command that takes it."""

    name: str
    sections: frozenset[str]
    command: str | None = None


COMPARISON = ConfigKind("a comparison", frozenset({"arms"}), "compare")
EXPERIMENT = ConfigKind("an experiment", frozenset({"base"}), "experiment")
SEARCH_SPACE = ConfigKind("a search space", frozenset({"space"}))
RUN = ConfigKind("a run", frozenset({"dataset"}), "run")
KINDS = (COMPARISON, RUN, EXPERIMENT, SEARCH_SPACE)
"""The first that fits is it: a comparison has a `base` as well, and a run may have one of another meaning."""


def kind_of(raw: Mapping[str, Any]) -> ConfigKind | None:
    """The kind of some sections; None where they are too few to tell."""
    return next((kind for kind in KINDS if kind.sections <= raw.keys()), None)


def check_kind(raw: Mapping[str, Any], wanted: ConfigKind, path: Path) -> None:
    """Refuses sections of another kind.

    Raises:
        UsageError: naming the command that takes them.
    """
    kind = kind_of(raw)
    if kind is None or kind is wanted:
        return
    sections = " and ".join(f"`{section}`" for section in sorted(kind.sections))
    raise UsageError(
        f"this is {kind.name} (it has {sections}), not {wanted.name}",
        where=path,
        remedy=f"augrec {kind.command} {shlex.quote(str(path))}" if kind.command else f"name {wanted.name}",
    )
