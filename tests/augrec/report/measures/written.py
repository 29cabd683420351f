"""Records as a source leaves them, made in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from augrec.artefacts.records import RECORD_SCHEMA
from augrec.report.measures.records import Records

HOSTILE = (
    "\u202eевил\u0000 \ud7ff",
    "x" * 2_000_000,
    "a\u0301" * 5_000,
    "</script><b>&amp;",
    "\u200f\u200f\u200f",
    " \n\t ",
    "日本語のとても長い文章です" * 50,
    "",
)


def row(entity: int, fields: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    """A record; without fields a failed one."""
    failed = fields is None
    given = {"status": "failed" if failed else "ok", "reason": "length: cut off" if failed else None, "attempt": 1}
    return {"entity": entity, "fields": None if failed else json.dumps(fields), "repairs": []} | given | more


def records(rows: list[dict[str, Any]], *, source: str = "llm", task: str = "user_profile") -> Records:
    full = [dict.fromkeys(RECORD_SCHEMA.names) | one for one in rows]
    return Records(source, task, Path("records.parquet"), pa.Table.from_pylist(full, schema=RECORD_SCHEMA))


def prose(texts: list[str | None], *, source: str = "llm") -> Records:
    return records(
        [row(user, None if text is None else {"profile": text}) for user, text in enumerate(texts)], source=source
    )
