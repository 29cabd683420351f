"""The texts of a folder in LLMRec's layout: what the LLM wrote of users and items, and the items' own tables.

The row of a table is the item's id; the ids that the tables hold in their first column are those of the data's source.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from augrec.artefacts.csv_cells import unguarded
from augrec.artefacts.errors import DataError
from recsys.data.released.features import Report, id_of
from recsys.data.released.unpickle import load_dict

PROFILES = "augmented_user_profiling_dict"
WRITTEN = "augmented_attribute_dict"
ITEM_TABLES = ("item_attribute.csv", "item_attribute_filter.csv")
WITH_ATTRIBUTES = "augmented_item_attribute_agg.csv"
ATTRIBUTE_NAMES = ("director", "country", "language")
OWN_COLUMNS = 3
"""id, year, title (Netflix) or id, title, genre (MovieLens), before the LLM's columns; id, title, year is read, too."""


@dataclass(frozen=True)
class ItemTexts:
    """What the tables say of the items, row = id; empty lists where there is no table."""

    original_ids: list[str] = field(default_factory=list)
    titles: list[str | None] = field(default_factory=list)
    years: list[int | None] = field(default_factory=list)
    genres: list[list[str]] = field(default_factory=list)


def profile_texts(folder: Path, n_users: int, report: Report) -> dict[int, str] | None:
    """What the LLM wrote of each user, unparsed; None without the file."""
    path = folder / PROFILES
    if not path.exists():
        return None
    table = load_dict(path, "user: text")
    report(PROFILES, "user keys are quoted text; read as numbers", sum(isinstance(key, str) for key in table))
    found = _by_id(table, n_users, PROFILES, "users", path, report)
    for user, text in found.items():
        if not isinstance(text, str):
            raise DataError(f"expected a text, found a {type(text).__name__}", where=f"{path}, user {user}")
    report(PROFILES, "users have no profile", n_users - len(found))
    return found


def attribute_texts(folder: Path, n_items: int, report: Report) -> dict[int, tuple[str, ...]] | None:
    """What the LLM wrote of each item, in the order of `ATTRIBUTE_NAMES`; None where no file holds it."""
    table = _rows(folder / WITH_ATTRIBUTES, n_items, report)
    in_table = None if table is None else {n: tuple(row[OWN_COLUMNS:]) for n, row in enumerate(table)}
    path = folder / WRITTEN
    if not path.exists():
        return in_table
    written = load_dict(path, "item: attributes")
    found = {}
    for item, row in _by_id(written, n_items, WRITTEN, "items", path, report).items():
        try:
            found[item] = tuple(_cell(row[place]) for place in range(len(ATTRIBUTE_NAMES)))
        except (TypeError, KeyError, IndexError):
            raise DataError("expected {0: director, 1: country, 2: language}", where=f"{path}, item {item}") from None
    report(WRITTEN, "items have no attributes", n_items - len(found))
    if in_table is not None:
        other = sum(found[item] != in_table[item] for item in found if item in in_table)
        report(WITH_ATTRIBUTES, f"rows say something else than {WRITTEN}, which is read", other)
    return found


def item_texts(folder: Path, n_items: int, report: Report) -> ItemTexts:
    """Titles, years or genres, and the source's ids."""
    names = [name for name in (*ITEM_TABLES, WITH_ATTRIBUTES) if (folder / name).exists()]
    if not names:
        report(ITEM_TABLES[0], "file is absent; items have no titles", 1, "note")
        return ItemTexts()
    rows = _rows(folder / names[0], n_items, report) or []
    for name in names[1:]:
        others = _rows(folder / name, n_items, lambda *found: None) or []
        differ = sum(mine[:OWN_COLUMNS] != other[:OWN_COLUMNS] for mine, other in zip(rows, others, strict=False))
        report(name, f"rows differ from {names[0]}, which is read", differ)
    last_dated = any(row[2].strip() for row in rows) and _are_years([row[2] for row in rows])
    dated = 1 if _are_years([row[1] for row in rows]) else 2 if last_dated else None
    title_column = 2 if dated == 1 else 1
    texts = ItemTexts(
        original_ids=[row[0].strip() for row in rows],
        titles=[row[title_column].strip() or None for row in rows],
        years=[] if dated is None else [_year(row[dated]) for row in rows],
        genres=[_genres(row[2]) for row in rows] if dated is None else [],
    )
    report(names[0], "items have no year", sum(year is None for year in texts.years))
    report(names[0], "items have no title", sum(title is None for title in texts.titles))
    return texts


def _are_years(cells: list[str]) -> bool:
    """Whether a column holds years, and nothing else where it holds anything."""
    return all(_year(cell) is not None for cell in cells if cell.strip())


def table_rows(folder: Path) -> int | None:
    """How many items the tables of a folder describe, one a row; None where there is no table."""
    names = (*ITEM_TABLES, WITH_ATTRIBUTES)
    path = next((folder / name for name in names if (folder / name).exists()), None)
    rows = None if path is None else _rows(path, 0, lambda *found: None, every=True)
    return None if rows is None else len(rows)


def _by_id(table: dict[Any, Any], n: int, name: str, what: str, path: Path, report: Report) -> dict[int, Any]:
    """The entries by id, in the order of ids; beyond the data dropped, the first of several kept."""
    found: dict[int, Any] = {}
    beyond = twice = 0
    for key, value in table.items():
        number = id_of(key, str(path))
        beyond += not 0 <= number < n
        twice += number in found
        if 0 <= number < n:
            found.setdefault(number, value)
    report(name, f"{what} outside 0..{n - 1}; dropped", beyond)
    report(name, f"{what} named again; the first is kept", twice)
    return dict(sorted(found.items()))


def _rows(path: Path, n_items: int, report: Report, *, every: bool = False) -> list[list[str]] | None:
    """The rows of a table without header, `every` one or those of the items; None without the file."""
    if not path.exists():
        return None
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            rows = [[unguarded(cell) for cell in row] for row in csv.reader(lines)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"the file is not a table in UTF-8 ({error})", where=path) from None
    least = OWN_COLUMNS + (len(ATTRIBUTE_NAMES) if path.name == WITH_ATTRIBUTES else 0)
    for number, row in enumerate(rows, start=1):
        if len(row) < least:
            raise DataError(f"expected {least} columns, found {len(row)}", where=f"{path}, line {number}")
    if len(rows) < n_items:
        raise DataError(f"{len(rows)} rows for {n_items} items: row numbers are item ids", where=path)
    if every:
        return rows
    report(path.name, f"rows beyond the {n_items} items; dropped", len(rows) - n_items)
    return rows[:n_items]


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return str(value)


def _year(text: str) -> int | None:
    try:
        year = float(text)
    except ValueError:
        return None
    return int(year) if math.isfinite(year) and 1000 <= year < 3000 else None


def _genres(text: str) -> list[str]:
    return [genre.strip() for genre in text.split("|") if genre.strip()]
