"""How several servers of one model shared the requests of a source, as the summary tells it."""

from __future__ import annotations

from typing import Any

from augrec.report.render.tables import Cell, Table, numbers, table, word, words
from augrec.report.render.wording import count, percent, rate

CAPTION = (
    "Servers that shared the requests of a source. A failed try was made again, there or at another server; the share "
    "is of all answers, and rates are tokens per second of the time that the whole source took"
)


def servers_table(sources: dict[str, dict[str, Any]]) -> Table | None:
    """Of every source that asked several servers; None where there is none."""
    columns = words("source", "server") + numbers("asked", "answered", "share", "prompt tokens", "written tokens")
    columns += numbers("prompt/s", "written/s", "failed tries") + words("reasons", "the same model, by")
    rows = [
        _cells(name, address, summary, counts)
        for name, summary in sources.items()
        if len(summary.get("endpoints") or {}) > 1
        for address, counts in summary["endpoints"].items()
    ]
    return table("servers-table", CAPTION, columns, rows)


def _cells(source: str, address: str, summary: dict[str, Any], counts: dict[str, Any]) -> list[Cell]:
    answers = sum(one["answered"] for one in summary["endpoints"].values())
    taken = sum(task.get("seconds") or 0.0 for task in (summary.get("tasks") or {}).values())
    failures = sorted(counts["failures"].items(), key=lambda pair: (-pair[1], pair[0]))
    failed = sum(counts["failures"].values())

    def ratio(part: float, whole: float) -> float | None:
        return part / whole if whole else None

    share = ratio(counts["answered"], answers)
    reading, writing = (ratio(counts[name], taken) for name in ("prompt_tokens", "completion_tokens"))
    return [
        word(source),
        word(address, code=True),
        Cell(count(counts["asked"]), counts["asked"]),
        Cell(count(counts["answered"]), counts["answered"]),
        Cell(percent(share), share),
        Cell(count(counts["prompt_tokens"]), counts["prompt_tokens"]),
        Cell(count(counts["completion_tokens"]), counts["completion_tokens"]),
        Cell(rate(reading), reading),
        Cell(rate(writing), writing),
        Cell(count(failed), failed),
        word(", ".join(f"{reason} {count(times)}" for reason, times in failures)),
        word(counts.get("evidence")),
    ]
