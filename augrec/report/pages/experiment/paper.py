"""The papers' own figures, by data set and table, each with its source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from augrec.artefacts.errors import UsageError
from augrec.artefacts.names import suggestion

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
        remedy = f"{suggestion(dataset, known)}known: {', '.join(known)}"
        raise UsageError(f"no published figures are called '{dataset}'", remedy=remedy)
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
