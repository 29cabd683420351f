"""What a language model said of lists, as numbers beside the lists, and how far it can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from augrec.artefacts.records import StoredRecord, read_records
from augrec.pipeline.reranking.lists import RERANK_AGAIN
from recsys.evaluation.lists import RankedLists
from recsys.reranking.aggregation import Judgement

COLUMNS = ("shown_candidates", "repairs", "question")


@dataclass(frozen=True)
class Answered:
    """Counts of the answers about one training's lists of one split; NaN where nothing can be said.

    Attributes:
        users: who was asked about.
        answered: users with at least one answer.
        questions, failed: asked, and without an answer.
        repaired: answers that were mended, such as orders in which a label was repeated.
        place_variance: of an item's place over the orders in which a list was shown, the mean over items and users; two
            orders at random of n items have (n^2 - 1) / 12.
        disagreement: of scored answers, the share of probability that lies on other items in another order, the mean
            over users: 0 for a model that does not mind the order, 1 for one that reads nothing else.
        like_shown: rank correlation between answer and the order shown: 1 is a copy of the prompt.
        like_list: the same with the recommender's list: 1 is a copy of that.
    """

    users: int
    answered: int
    questions: int
    failed: int
    repaired: int
    place_variance: float
    disagreement: float
    like_shown: float
    like_list: float

    def as_json(self) -> dict[str, int | float | None]:
        """JSON values; None for NaN."""
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in asdict(self).items()
        }


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers to one task about the lists of a training on a split.

    Attributes:
        judged: of the first items of each list.
        asked: bool [n], whose lists were asked about.
        counted: how it went.
    """

    judged: Judgement
    asked: np.ndarray
    counted: Answered


def read_ranking(path: Path, lists: RankedLists, size: int, orders: int = 1) -> Answers:
    """Orders as mean places from 1. An item that an answer leaves out has the place behind the shown ones.

    Args:
        path: the records of a task of kind `ranking`.
        lists: those that were asked about.
        size: how many items of each were shown.
        orders: in how many orders they were shown; one says nothing of how much the order counts.
    """
    values = np.full((len(lists), size), np.nan)
    variances, like_shown, like_list = list[float](), list[float](), list[float]()
    disagreements = list[float]()
    records, rows = _by_user(path), {user: row for row, user in enumerate(lists.users.tolist())}
    for user, own in records.items():
        items = [item for item in lists.items[rows[user], :size].tolist() if item >= 0]
        answered = [_places(items, record) for record in own if record.ok]
        if not answered:
            continue
        places = np.array(answered)
        values[rows[user], : len(items)] = places.mean(axis=0)
        like_list += [_correlation(order, range(len(items))) for order in answered]
        shown = [[record.shown_candidates.index(item) for item in items] for record in own if record.ok]
        like_shown += [_correlation(order, there) for order, there in zip(answered, shown, strict=True)]
        if len(answered) > 1:
            variances.append(float(places.var(axis=0, ddof=1).mean()))
        if orders > 1:
            fields = [record.fields or {} for record in own]
            disagreements += [float(said["disagreement"]) for said in fields if "disagreement" in said]
    counted = _counted(records, values, _mean(variances), _mean(disagreements), _mean(like_shown), _mean(like_list))
    return Answers(Judgement(values, places=True), np.isin(lists.users, list(records)), counted)


def read_rating(path: Path, lists: RankedLists, size: int) -> Answers:
    """Ratings of the first items of each list; see `read_ranking`."""
    values = np.full((len(lists), size), np.nan)
    records, rows = _by_user(path), {user: row for row, user in enumerate(lists.users.tolist())}
    like_list = list[float]()
    for user, own in records.items():
        items = lists.items[rows[user], :size].tolist()
        for record in own:
            if record.ok and record.fields is not None:
                values[rows[user], items.index(record.shown_candidates[0])] = float(record.fields["rating"])
        known = values[rows[user]][~np.isnan(values[rows[user]])]
        if len(known) > 1:
            like_list.append(_correlation(-known, range(len(known))))
    counted = _counted(records, values, math.nan, math.nan, math.nan, _mean(like_list))
    return Answers(Judgement(values, places=False), np.isin(lists.users, list(records)), counted)


def _by_user(path: Path) -> dict[int, list[StoredRecord]]:
    return read_records(path, columns=COLUMNS, remedy=RERANK_AGAIN).by_entity()


def _places(items: Sequence[int], record: StoredRecord) -> list[float]:
    assert record.fields is not None
    place = {item: number for number, item in enumerate(record.fields["order"], start=1)}
    return [float(place.get(item, len(items) + 1)) for item in items]


def _counted(
    records: Mapping[int, Sequence[StoredRecord]],
    values: np.ndarray,
    variance: float,
    disagreement: float,
    shown: float,
    listed: float,
) -> Answered:
    every = [record for own in records.values() for record in own]
    return Answered(
        users=len(records),
        answered=int((~np.isnan(values)).any(axis=1).sum()),
        questions=len(every),
        failed=sum(not record.ok for record in every),
        repaired=sum(bool(record.repairs) for record in every),
        place_variance=variance,
        disagreement=disagreement,
        like_shown=shown,
        like_list=listed,
    )


def _correlation(first: Iterable[float], second: Iterable[float]) -> float:
    """Spearman's, ties sharing their mean place; NaN where one side is all alike."""
    left, right = (_ranks(np.asarray(list(side), dtype=float)) for side in (first, second))
    if left.std() == 0 or right.std() == 0:
        return math.nan
    return float(np.corrcoef(left, right)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    return (values[:, None] > values).sum(1) + ((values[:, None] == values).sum(1) - 1) / 2


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
