"""A few users with what every arm says of them, drawn by seed and not by taste."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from augrec.artefacts.files import read_parquet
from augrec.pipeline.studies.comparison.options import Compare
from augrec.report.measures.records import Records
from augrec.report.pages.run.examples import titles_of
from embed.texts import profile_text

HISTORY = 8
HISTORY_CHARACTERS = 160
TEXT_CHARACTERS = 1500


def examples_of(
    compare: Compare, dataset: Path, records: dict[str, Records], users: np.ndarray
) -> list[dict[str, Any]]:
    """The entries `examples` of compare.json.

    Args:
        compare: the comparison's options.
        dataset: R/dataset.
        records: the profiles by source.
        users: the users to draw from.
    """
    rng = np.random.default_rng([0, 0xE8])
    drawn = np.sort(rng.choice(users, min(compare.examples, len(users)), replace=False))
    items, people = read_parquet(dataset / "items.parquet"), read_parquet(dataset / "users.parquet")
    interactions = read_parquet(dataset / "interactions.parquet")
    names = item_names(items)
    arms = {name: arm for name, arm in compare.arms.items() if arm.source in records and arm.profiles == "as-is"}
    return [
        {
            "user": str(people["source_id"][user].as_py()),
            "history": [names[item] for item in _history(interactions, user)[-HISTORY:]],
            "texts": [{"arm": name, **_text(records[arm.source or ""], user)} for name, arm in arms.items()],
        }
        for user in drawn.tolist()
    ]


def item_names(items: pa.Table) -> list[str]:
    """What to call every item: its title, else the beginning of its text."""
    if "title" in items.column_names:
        return titles_of(items)
    texts = [name for name in ("profile", "description", "text") if name in items.column_names]
    if not texts:
        return titles_of(items)
    return [
        _cut(str(text or name), HISTORY_CHARACTERS)
        for text, name in zip(items[texts[0]].to_pylist(), titles_of(items), strict=True)
    ]


def _history(interactions: pa.Table, user: int) -> list[int]:
    """The user's training items, oldest first."""
    mine = (interactions["user"].to_numpy() == user) & np.equal(
        interactions["split"].to_numpy(zero_copy_only=False), "train"
    )
    order = [(name, "ascending") for name in ("timestamp", "item") if name in interactions.column_names]
    found: list[int] = interactions.filter(pa.array(mine)).sort_by(order)["item"].to_pylist()
    return found


def _text(records: Records, user: int) -> dict[str, str | None]:
    row = records.row_of.get(user)
    if row is None:
        return {"text": None, "failed": "not asked about this user"}
    if not records.ok[row]:
        return {"text": None, "failed": records.reasons[row] or "failed"}
    text = profile_text(records.fields[row])
    return (
        {"text": None, "failed": "says nothing"}
        if text is None
        else {"text": _cut(text, TEXT_CHARACTERS), "failed": None}
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
