"""The audit of the reviews that prompts showed, read without the code that wrote them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from augrec.artefacts.files import read_parquet
from augrec.artefacts.run_folder import DatasetFolder
from augrec.pipeline.audit.checks import Asked, Check

Pair = tuple[int, int]
"""A user and an item."""


def audit_reviews(
    title: str, task: Asked, records: list[dict[str, Any]], dataset: Path, *, replayed: bool
) -> list[Check]:
    """Every review that a prompt showed is one of a training interaction, and its very text.

    A record says whose reviews were shown, and one hash of their texts. The hash is made again from what the training
    rows of these pairs hold, so that a held-out review under another's name is found as well.

    Args:
        title: of the task.
        task: whose records they are.
        records: with the columns `shown_reviews` and `reviews_sha256`; those without say that nothing was shown.
        dataset: the folder of the data set.
        replayed: the records were written over another data set, whose texts are not here: pairs alone are compared.

    Returns:
        One check; none where no record says that it showed a review.
    """
    showing = [record for record in records if record.get("shown_reviews") or record.get("reviews_sha256")]
    if not showing:
        return []
    written = _training_reviews(
        DatasetFolder(dataset).interactions, {pair for one in showing for pair in _pairs(task, one)}
    )
    problems = [problem for record in showing for problem in _wrong(task, record, written, replayed)]
    where = "prompts, where known, showed" if replayed else "prompts show"
    return [Check(f"{title}: {where} reviews of training interactions only", len(showing), tuple(problems))]


def _pairs(task: Asked, record: dict[str, Any]) -> list[Pair]:
    """The (user, item) of every review shown, in order."""
    entity, others = record["entity"], record.get("shown_reviews") or ()
    return [(entity, other) if task.about == "user" else (other, entity) for other in others]


def _training_reviews(path: Path, wanted: set[Pair]) -> dict[Pair, str | None]:
    """The stored review of every wanted pair that is in train."""
    names = [name for name in ("user", "item", "split", "review") if name in pq.read_schema(path).names]
    table = read_parquet(path, columns=names, remedy="run `augrec prepare CONFIG`")
    table = table.filter(pc.equal(table["split"], "train"))
    pairs = list(zip(table["user"].to_pylist(), table["item"].to_pylist(), strict=True))
    rows = [row for row, pair in enumerate(pairs) if pair in wanted]
    texts = table["review"].take(pa.array(rows, pa.int64())).to_pylist() if "review" in names else [None] * len(rows)
    return dict(zip((pairs[row] for row in rows), texts, strict=True))


def _wrong(task: Asked, record: dict[str, Any], written: dict[Pair, str | None], replayed: bool) -> Iterator[str]:
    whom, pairs = f"{task.about} {record['entity']}", _pairs(task, record)
    strays = [pair for pair in pairs if pair not in written]
    for user, item in strays:
        yield f"{whom}: the review of user {user} about item {item} was shown, which is not in train"
    if strays or replayed:
        return
    shown = [written[pair] for pair in pairs]
    if task.about == "user" and not set(record["shown_reviews"] or ()) <= set(record["shown_history"] or ()):
        yield f"{whom}: the review of an item was shown without the item"
    content = json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode()
    if not pairs or hashlib.sha256(content).hexdigest() != record["reviews_sha256"]:
        yield f"{whom}: what was shown is not the text of these training reviews (key {record['key'][:12]})"
