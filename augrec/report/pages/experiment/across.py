"""What an experiment's tables compare alike on several data sets."""

from __future__ import annotations

from collections.abc import Sequence

from augrec.report.pages.across import Across, Effect, effect_of, together
from augrec.report.pages.experiment.values import TableValues


def across(blocks: Sequence[TableValues]) -> list[Across]:
    """Everything that two data sets or more compare alike, in the order of the tables.

    Rows are the same where table, label and what they are compared with are. Of a variant with one seed the error is
    over users alone.
    """
    found: dict[tuple[str, str, str, str], dict[str, Effect]] = {}
    levels = {block.table: block.alpha for block in blocks}
    for block in blocks:
        for row in block.rows:
            for metric, value in row.values.items():
                effect = effect_of(value.versus)
                if effect is not None and row.against is not None:
                    found.setdefault((block.table, row.label, row.against, metric), {})[block.dataset] = effect
    return [
        Across(*key, effects, together(list(effects.values()), levels[key[0]]))
        for key, effects in found.items()
        if len(effects) > 1
    ]
