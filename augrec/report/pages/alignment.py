"""The table of what the alignment probe found, on the page of a run and of a comparison."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter

from augrec.report.measures.alignment import Alignment
from augrec.report.measures.meetings import Meetings
from augrec.report.render.tables import Cell, Table, numbers, table, word, words
from augrec.report.render.wording import count, number, p_value

CAPTION = (
    "Whether those with near texts meet in training histories: how often, how often by popularity alone, and how many "
    "times chance that is; found: the least that would be found four times in five. Controls: near by half of the "
    "histories, judged by the other half; near by popularity; the texts of others. ✗ apart: texts of other ids, or "
    "such as say nothing; ✗ unrelated: texts of these ids that say nothing which bears on who likes what"
)
NOT_ALIGNED = ("apart", "unrelated")

_JSON = TypeAdapter(tuple[Alignment, ...])


def read_alignments(holder: Mapping[str, Any]) -> tuple[Alignment, ...]:
    """Those that audit.json or import.json holds; none where it is of a version that did not probe."""
    return _JSON.validate_python(holder.get("alignment") or ())


def alignment_table(found: Iterable[Alignment]) -> Table | None:
    """One row per set of texts; None without any."""
    rows = [
        [
            word(one.of),
            Cell(count(one.entities), one.entities, (f"{one.about}s by {one.vectors}",)),
            Cell(count(one.texts.pairs), one.texts.pairs),
            Cell(count(one.texts.observed), one.texts.observed),
            Cell(count(round(one.texts.expected)), one.texts.expected),
            _times(one.texts),
            Cell(number(one.texts.detectable, 2), one.texts.detectable),
            *(_times(control) for control in (one.histories, one.popularity, one.shuffled)),
            Cell(f"✗ {one.verdict}" if one.verdict in NOT_ALIGNED else one.verdict, one.verdict, note=one.why),
        ]
        for one in found
    ]
    columns = words("texts") + numbers("entities", "near pairs", "meet", "by chance", "times|chance", "found|from")
    columns += numbers("halves of|histories", "popularity", "shuffled") + words("verdict")
    return table("alignment-table", CAPTION, columns, rows)


def _times(met: Meetings) -> Cell:
    return Cell(number(met.ratio, 2), met.ratio, note="" if met.ratio is None else f"p {p_value(met.p)}")
