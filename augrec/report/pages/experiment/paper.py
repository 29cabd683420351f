"""The papers' own figures, by data set and table, each with its source."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from augrec.artefacts.errors import UsageError

FILE = Path(__file__).with_name("paper_numbers.yaml")


@dataclass(frozen=True)
class Published:
    """One published table on one data set: `rows[name][metric]`."""

    source: str
    rows: dict[str, dict[str, float]]


def published(dataset: str, table: str) -> Published | None:
    """The published table of a data set; None when the paper has no such table for it.

    Raises:
        UsageError: there are no figures of such a data set.
    """
    known = load()
    if dataset not in known:
        near = difflib.get_close_matches(dataset, known, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise UsageError(f"no published figures are called '{dataset}'", remedy=f"{hint}known: {', '.join(known)}")
    return known[dataset].get(table)


def load() -> dict[str, dict[str, Published]]:
    """All figures by data set and table."""
    content: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {
        dataset: {
            name: Published(
                table["source"],
                {row: dict(zip(table["metrics"], values, strict=True)) for row, values in table["rows"].items()},
            )
            for name, table in tables.items()
        }
        for dataset, tables in content.items()
    }
