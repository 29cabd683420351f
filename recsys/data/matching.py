"""Whether the ids of interactions are those of the tables that describe users and items.

Ids are text. 30.0 and 30 may be one item and may be two, so they are never joined; a table that describes hardly any
item of the interactions is an error, and a few that are missing are counted.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from augrec.artefacts.errors import DataError

EXAMPLES = 3


def matched(
    source_ids: np.ndarray,
    described: pd.Series,
    about: str,
    tables: Mapping[str, Path],
    least: float,
    *,
    columns_are_named: bool = True,
) -> list[str]:
    """A line on how many users or items have no row, with examples; none where all have one, or there is no table.

    Args:
        source_ids: [n] distinct ids of the interactions, in their order.
        described: the ids of the table.
        about: "user" or "item".
        tables: which file holds what, see `RawData.tables`.
        least: share of the ids that must have a row.
        columns_are_named: whether the options say which column holds the ids of the table, which a layout may say.

    Raises:
        DataError: fewer have one, or none; names both files and an id of each.
    """
    if not len(described) or not len(source_ids):
        return []
    known = pd.Index(source_ids).isin(pd.Index(described))
    missing = source_ids[~known]
    if not len(missing):
        return []
    table = tables.get(f"{about}s", f"the table of {about}s")
    if known.mean() < least or not known.any():
        other_column = f"; or name another column, source.table.{about}s_id" if columns_are_named else ""
        raise _strangers(source_ids, missing, described, about, tables, other_column)
    examples = ", ".join(repr(str(value)) for value in missing[:EXAMPLES])
    name = table.name if isinstance(table, Path) else table
    return [f"{len(missing):,} of {len(source_ids):,} {about}s have no row in {name}, e.g. {examples}"]


def coverage(source_ids: np.ndarray, described: pd.Series, about: str, tables: Mapping[str, Path]) -> list[str]:
    """A line on how many users or items were found in their table, and how many of its rows are of nobody here; none
    without a table. Arguments as for `matched`."""
    if not len(described) or not len(source_ids):
        return []
    table = tables.get(f"{about}s", f"the table of {about}s")
    found = int(pd.Index(source_ids).isin(pd.Index(described)).sum())
    name = table.name if isinstance(table, Path) else table
    others = len(described) - found
    of_others = f"; {others:,} of its rows are of {about}s that have no interaction left" if others else ""
    return [f"{found:,} of {len(source_ids):,} {about}s were found in {name}{of_others}"]


def _strangers(
    source_ids: np.ndarray,
    missing: np.ndarray,
    described: pd.Series,
    about: str,
    tables: Mapping[str, Path],
    other_column: str,
) -> DataError:
    interactions = tables.get("interactions", "the interactions")
    table = tables.get(f"{about}s", f"the table of {about}s")
    common = len(source_ids) - len(missing)
    ours, theirs, how = _pair(missing, described)
    what = "no id is in common" if not common else f"only {common:,} of {len(source_ids):,} ids are in common"
    likeness = f"; they are alike but for {how}" if how else ""
    return DataError(
        f"the {about}s of the interactions are not those of their table: {what}. The interactions have {ours!r}, "
        f"the table has {theirs!r}{likeness}",
        where=f"{interactions} and {table}",
        remedy="write the ids the same way in both files: they are compared as text"
        + other_column
        + (f"; or set dataset.least_described: {common / len(source_ids) / 1.1:.2g}" if common else ""),
    )


def _pair(missing: np.ndarray, described: pd.Series) -> tuple[str, str, str]:
    """An id of each side, two that are alike where there are such, and what makes them differ."""
    theirs = sorted(map(str, described))
    for how, form in _FORMS:
        by_form = {form(value): value for value in reversed(theirs)}
        for value in map(str, missing):
            if form(value) in by_form:
                return value, by_form[form(value)], how
    return str(missing[0]), theirs[0], ""


def _whole(value: str) -> str:
    head, point, tail = value.partition(".")
    return head if point and head.lstrip("-").isdigit() and not tail.strip("0") else value


def _unpadded(value: str) -> str:
    return (value.lstrip("0") or "0") if value.isdigit() else value


_FORMS = (
    ("a trailing .0", _whole),
    ("leading zeros", lambda value: _unpadded(_whole(value))),
    ("the case of letters", str.casefold),
    ("how Unicode writes accents (NFC or NFD)", lambda value: unicodedata.normalize("NFKC", value).casefold()),
    ("quotation marks", lambda value: value.strip("\"'")),
)
