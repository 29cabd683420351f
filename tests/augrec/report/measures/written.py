"""Records as a source leaves them, made in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from augrec.artefacts.records import RECORD_SCHEMA, Records
from augrec.report.measures.source_records import SourceRecords

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


def records(rows: list[dict[str, Any]], *, source: str = "llm", task: str = "user_profile") -> SourceRecords:
    full = [dict.fromkeys(RECORD_SCHEMA.names) | one for one in rows]
    table = pa.Table.from_pylist(full, schema=RECORD_SCHEMA)
    return SourceRecords(source, task, Records(Path("records.parquet"), table, "mend it"))


def prose(texts: list[str | None], *, source: str = "llm") -> SourceRecords:
    return records(
        [row(user, None if text is None else {"profile": text}) for user, text in enumerate(texts)], source=source
    )
