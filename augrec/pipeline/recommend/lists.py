"""The best items of users, as tables in the words of the data's source, a block of users at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal

import numpy as np
import pyarrow as pa

from augrec.pipeline.recommend.restored import Restored, scores_by_rating
from recsys.evaluation.judgement import judgement
from recsys.evaluation.ranking import Scores, hidden_splits, recommended
from recsys.evaluation.top_items import Top
from recsys.options import EvaluationOptions, Judged

Exclude = Literal["train", "valid", "test"]
"""The last split whose items are no candidates; those of the splits before it are none either."""
HIDDEN: dict[Exclude, Sequence[str]] = {
    "train": ("train",),
    "valid": ("train", "valid"),
    "test": ("train", "valid", "test"),
}


def recommendation_lists(
    restored: Restored,
    users: np.ndarray,
    k: int,
    *,
    options: EvaluationOptions,
    exclude: Exclude | None = None,
) -> Iterator[pa.Table]:
    """The `k` best items of users, best first, block by block: memory does not grow with the number of users.

    Args:
        restored: the model, and the data that it scores on.
        users: int64 [n] ids, in this order.
        k: of the lists, which are shorter where there are fewer candidates.
        options: of the run's evaluation.
        exclude: which items are no candidates; None: those that are none when the run is tested, but training items in
            any case.

    Yields:
        Columns user (string), rank (int32, 1 is the best), item (string), score (float32) and, where items have titles,
        title. Ids are the source's.

    Raises:
        AugrecError: the scores of a user hold NaN.
    """
    dataset, model = restored.dataset, restored.model
    scores: Scores
    if restored.judged is Judged.RATING:
        official, tested, scores = False, HIDDEN["train"], partial(scores_by_rating, restored)
    else:
        how = judgement(dataset, "test", restored.judged, options)
        tested = hidden_splits("test", True, how.mask_valid_at_test)
        official, scores = how.official, how.allowed(model.scorer(how.context))
    titles = dataset.items["title"] if "title" in dataset.items.column_names else None
    for block, top in recommended(
        scores,
        dataset,
        users,
        k,
        hidden=HIDDEN[exclude] if exclude else tested,
        tie_seed=options.tie_seed,
        chunk=options.chunk,
        official=official,
        device=restored.device,
    ):
        yield _table(block, top, dataset.users["source_id"], dataset.items["source_id"], titles)


def _table(
    users: np.ndarray, top: Top, user_ids: pa.ChunkedArray, item_ids: pa.ChunkedArray, titles: pa.ChunkedArray | None
) -> pa.Table:
    items, scores = top.items.cpu().numpy(), top.values.float().cpu().numpy()
    row, place = np.nonzero(items >= 0)
    listed = pa.array(items[row, place])
    columns = {
        "user": user_ids.take(pa.array(users[row])).cast(pa.string()),
        "rank": pa.array((place + 1).astype(np.int32)),
        "item": item_ids.take(listed).cast(pa.string()),
        "score": pa.array(scores[row, place]),
    }
    return pa.table(columns if titles is None else columns | {"title": titles.take(listed).cast(pa.string())})
