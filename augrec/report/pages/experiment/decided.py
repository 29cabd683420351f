"""What an experiment decides, in the sentences that stand above its tables."""

from __future__ import annotations

from collections.abc import Sequence

from augrec.report.numbers.verdicts import WORDS, verdict
from augrec.report.pages.experiment.values import TableValues, comparisons_of, mark_of
from augrec.report.render.wording import counted, listed

FEW = 4
"""Rows that are undecided and called by name."""


def lead(blocks: Sequence[TableValues]) -> str:
    """The verdicts of the first table that compares rows, in its first metric; "" where none does."""
    return next(filter(None, map(_verdicts, blocks)), "")


def findings(blocks: Sequence[TableValues]) -> list[str]:
    """The verdicts of the other tables, and why differences that users show decide nothing."""
    found = [sentence for sentence in map(_verdicts, blocks) if sentence][1:]
    shown = untested = 0
    for alpha in {block.alpha for block in blocks}:
        pairs = comparisons_of([block for block in blocks if block.alpha == alpha])
        decided = [verdict(one, metric, alpha) for by_metric in pairs.values() for metric, one in by_metric.items()]
        over_users = [one for one in decided if one.users]
        shown += len(over_users)
        untested += sum(one.word == "undecided" and one.seeds is None for one in over_users)
    if untested:
        found.append(
            f"Of {counted(shown, 'difference')} that users show {untested} cannot be called better or worse: nobody "
            "knows what training again would change where there is one seed. More of them, as seeds=[1, 2, 3, 4, 5], "
            "train what is missing and keep what is there."
        )
    return found


def _verdicts(block: TableValues) -> str:
    metric = block.metrics[0]
    rows: dict[str, list[str]] = {word: [] for word in WORDS}
    for row in block.rows:
        if word := mark_of(row.values[metric], metric, block.alpha):
            rows[word].append(row.label)
    undecided = rows.pop("undecided")
    parts = [f"{word}: {listed(labels)}" for word, labels in rows.items() if labels]
    if undecided:
        few = len(undecided) <= FEW
        parts.append(f"undecided: {listed(undecided) if few else counted(len(undecided), 'row')}")
    if not parts:
        return ""
    against = {row.against for row in block.rows if row.against}
    beside = f"beside {against.pop()}" if len(against) == 1 else "beside the row that each is compared with"
    return f"{block.title}, {metric} {beside}: {'; '.join(parts)}."
