"""Files to texts: one list per field, one entry per contiguous id, None where there is nothing to embed.

The embedding stage and the audit read through the same two functions, so that a text hash proves which records a
matrix was made from.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import digest, parse_json, read_parquet
from augrec.artefacts.names import check_fields
from embed.texts import answer_text, item_text, own_text, profile_text

# Side columns of a data set that describe an item. Others (links, image names, prices) are left alone.
OWN_COLUMNS = ("title", "year", "genres", "categories", "authors", "brand", "description")
USER_PROFILE = "user_profile"
ITEM_ATTRIBUTES = "item_attributes"


def text_digest(texts: Sequence[str | None]) -> str:
    """The sha256 over a list of texts, as recorded in a matrix's `text_sha256`."""
    return digest(list(texts))


def records_of(records_folder: Path, task: str) -> Path:
    """The file with a task's records."""
    return records_folder / task / "records.parquet"


def texts_of_source(
    records_folder: Path, n_users: int, n_items: int, tasks: Collection[str] = (USER_PROFILE, ITEM_ATTRIBUTES)
) -> dict[str, list[str | None]]:
    """The texts of one source's records.

    Args:
        records_folder: R/augment/<source>; tasks that it did not run are absent from the result.
        n_users, n_items: rows of the lists.
        tasks: those that are read; records of others may lie there from an earlier config.

    Returns:
        `user_profile` (length n_users) and one list per item attribute (length n_items), attributes in name order.
        Failed records, absent records and values like "unknown" are None.

    Raises:
        DataError: a record names an entity out of range or twice, or its fields are not a JSON object.
    """
    texts: dict[str, list[str | None]] = {}
    if USER_PROFILE in tasks and records_of(records_folder, USER_PROFILE).exists():
        profiles = _fields(records_of(records_folder, USER_PROFILE), n_users)
        texts[USER_PROFILE] = [None if fields is None else profile_text(fields) for fields in profiles]
    if ITEM_ATTRIBUTES in tasks and records_of(records_folder, ITEM_ATTRIBUTES).exists():
        path = records_of(records_folder, ITEM_ATTRIBUTES)
        answers = _fields(path, n_items)
        names = sorted({name for fields in answers if fields for name in fields})
        remedy = "give it a plain name, or run the stage `augment` again"
        check_fields(names, path, "attribute", remedy=remedy, taken=[USER_PROFILE])
        for name in names:
            texts[name] = [None if fields is None else answer_text(fields.get(name)) for fields in answers]
    return texts


def texts_of_items(items_parquet: Path, columns: Sequence[str] = OWN_COLUMNS) -> dict[str, list[str | None]]:
    """The texts of the data set's own side information.

    Returns:
        `text` (all columns in one text) and one list per column that the file has; empty when it has none of them.

    Raises:
        DataError: the item ids are not 0..n-1 in order.
    """
    table = read_parquet(items_parquet, remedy="run the stage `prepare` first")
    if "item" not in table.column_names or table["item"].to_pylist() != list(range(table.num_rows)):
        raise DataError("the column `item` is not 0..n-1 in order", where=items_parquet, remedy="run `prepare` again")
    present = [name for name in columns if name in table.column_names]
    if not present:
        return {}
    rows = table.select(present).to_pylist()
    texts = {"text": [item_text(row) for row in rows]}
    return texts | {name: [own_text(row[name]) for row in rows] for name in present}


def _fields(path: Path, n: int) -> list[dict[str, Any] | None]:
    """The checked answers of a records file, by entity."""
    found: list[dict[str, Any] | None] = [None] * n
    seen = [False] * n
    table = read_parquet(path)
    lacking = [name for name in ("key", "entity", "status", "fields") if name not in table.column_names]
    if lacking:
        raise DataError(
            f"the file has no column {', '.join(lacking)}", where=path, remedy="run the stage `augment` again"
        )
    for row in table.select(["key", "entity", "status", "fields"]).to_pylist():
        entity = row["entity"]
        if not 0 <= entity < n:
            raise DataError(
                f"record {row['key']} names entity {entity}, the data set has {n}",
                where=path,
                remedy="the records belong to another data set; run the stage `augment` again",
            )
        if seen[entity]:
            raise DataError(f"two records of entity {entity}", where=path, remedy="run the stage `augment` again")
        seen[entity] = True
        if row["status"] == "ok":
            found[entity] = _parsed(row, path)
    return found


def _parsed(row: dict[str, Any], path: Path) -> dict[str, Any]:
    try:
        fields = parse_json(row["fields"])
    except (TypeError, ValueError):
        fields = None
    if not isinstance(fields, dict):
        raise DataError(
            f"the fields of record {row['key']} are not a JSON object",
            where=path,
            remedy="run the stage `augment` again",
        )
    return fields
