"""Whether a source picks candidates by where they stand in the prompt rather than by what they are.

Candidates are shown in an order drawn for every user, so a picker that looks at content alone picks every place alike.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy import stats

from augrec.report.measures.source_records import SourceRecords


@dataclass(frozen=True)
class Position:
    """The places that one source's picks had in the lists shown.

    Attributes:
        source: who picked.
        users: those counted.
        labels: candidates shown to each of them.
        positive, negative: by place, how often it was picked as likely and as unlikely.
        p_positive, p_negative: Pearson's chi-square against uniform; None without any edge.
        first_share: how often the first place was the likely one.
    """

    source: str
    users: int
    labels: int
    positive: tuple[int, ...]
    negative: tuple[int, ...]
    p_positive: float | None
    p_negative: float | None
    first_share: float | None


def position(records: SourceRecords) -> Position:
    """Where one source's picks stood in the lists shown.

    Only records with the commonest number of candidates count, so that every place had the same chance; of equally
    common numbers, the larger. p-values are of Pearson's chi-square against uniform, and None without any edge; below
    five edges per label they are rough.
    """
    shown = records.column("shown_candidates")
    picks = []
    for candidates, fields, ok in zip(shown, records.fields, records.ok.tolist(), strict=True):
        picked = (fields.get("positive"), fields.get("negative"))
        if ok and candidates and all(item in candidates for item in picked):
            picks.append((len(candidates), *(candidates.index(item) for item in picked)))
    labels, _ = max(Counter(size for size, *_ in picks).items(), key=lambda pair: pair[::-1], default=(0, 0))
    places = np.array([edge[1:] for edge in picks if edge[0] == labels], dtype=np.int64).reshape(-1, 2)
    positive, negative = (np.bincount(column, minlength=labels) for column in places.T)
    return Position(
        source=records.source,
        users=len(places),
        labels=labels,
        positive=tuple(positive.tolist()),
        negative=tuple(negative.tolist()),
        p_positive=_p_uniform(positive),
        p_negative=_p_uniform(negative),
        first_share=float(positive[0] / len(places)) if len(places) else None,
    )


def _p_uniform(counts: np.ndarray) -> float | None:
    return float(stats.chisquare(counts).pvalue) if counts.sum() and len(counts) > 1 else None
