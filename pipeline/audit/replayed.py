"""The audit of records that were written elsewhere: published ones, or an earlier run's."""

from __future__ import annotations

import json
from typing import Any

from pipeline.audit.checks import Check, Split


def audit_replayed(name: str, task: str, records: list[dict[str, Any]], split: Split) -> list[Check]:
    """Records written elsewhere saw other prompts; where these are known, they held nothing that is held out here."""
    checks = []
    if task in ("edges", "user_profile"):
        told = [record for record in records if record["status"] == "ok" and len(record["shown_history"])]
        problems = [
            f"user {record['entity']}: item {stray[0]} is not in train (key {record['key'][:12]})"
            for record in told
            if (stray := sorted(set(record["shown_history"]) - set(split.train_history.get(record["entity"], []))))
        ]
        checks.append(Check(f"{name}: prompts, where known, showed training history only", len(told), tuple(problems)))
    if task == "edges":
        named = [
            (record["entity"], side, item)
            for record in records
            if record["status"] == "ok"
            for side, item in json.loads(record["fields"]).items()
        ]
        unknown = [
            f"user {user}: {side} {item} is no item" for user, side, item in named if not 0 <= item < split.n_items
        ]
        checks.append(Check(f"{name}: pairs name known items", len(named), tuple(unknown)))
    return checks
