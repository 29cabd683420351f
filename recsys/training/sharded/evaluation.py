"""Full ranking evaluation where no process has all users or all items.

Every process ranks for its own users. The blocks of items are passed round, one at a time; what a list holds so far
is merged with the best of the next block. A list under a total order does not depend on how the items were cut, so the
lists are those of `recsys.evaluation.ranking`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from recsys.data.dataset import Dataset
from recsys.evaluation.masking import masked_positions
from recsys.evaluation.ranking import Tally, default_chunk, hidden_splits, refuse_nan
from recsys.evaluation.result import Evaluation
from recsys.evaluation.top_items import TieBreak, top_items
from recsys.training.distributed import merged
from recsys.training.sharded.model import ShardedLightGCN


@torch.no_grad()
def evaluate_sharded(
    model: ShardedLightGCN,
    dataset: Dataset,
    split: str,
    *,
    cutoffs: Sequence[int],
    mask_valid_at_test: bool = False,
    tie_seed: int = 0,
    chunk: int | None = None,
    official: bool = False,
    device: torch.device | str = "cpu",
) -> Evaluation:
    """What `recsys.evaluation.ranking.evaluate` gives, with its arguments; all processes call it and get the whole."""
    team, layout = model.layout.team, model.layout
    n_users, n_items = dataset.n_users, dataset.n_items
    everyone = np.flatnonzero(np.diff(dataset.starts(split)))
    first_user, end_user = layout.users.of(team.rank)
    users = everyone[(everyone >= first_user) & (everyone < end_user)]
    masks = [
        (dataset.pairs(name)[:, 1], dataset.starts(name)) for name in hidden_splits(split, True, mask_valid_at_test)
    ]
    ties = TieBreak.lower_id_first(n_users, n_items) if official else TieBreak.seeded(n_users, n_items, tie_seed)
    own_users, own_items = model()
    longest = min(max(cutoffs), n_items)
    lists = torch.full((len(users), longest), -1, device=device)
    values = torch.full((len(users), longest), -torch.inf, device=device)
    for owner in range(team.size):
        begin, end = layout.items.of(owner)
        items = own_items.contiguous() if owner == team.rank else own_items.new_empty(end - begin, own_items.shape[1])
        team.share_out(items, owner)
        block_ties = ties.block(begin, end)
        step = chunk or default_chunk(end - begin)
        for start in range(0, len(users), step):
            batch, rows = users[start : start + step], slice(start, start + step)
            ids = torch.from_numpy(batch).to(device)
            scores = own_users[ids - first_user] @ items.T
            for mask in masks:
                row, item = masked_positions(batch, *mask)
                inside = (item >= begin) & (item < end)
                places = row[inside] * (end - begin) + item[inside] - begin
                scores.view(-1)[torch.from_numpy(places).to(device)] = -torch.inf
            best = top_items(scores, ids, longest, block_ties)
            if best.values[:, 0].isnan().any():
                refuse_nan(scores, batch)
            theirs = best.items.where(best.items < 0, best.items + begin)
            lists[rows], values[rows] = _merged(lists[rows], values[rows], theirs, best.values, ids, ties)
    tally = Tally(dataset, split, cutoffs, official=official, device=device)
    for start in range(0, len(users), step):
        tally.add(users[start : start + step], lists[start : start + step])
    return merged(tally.result(users), everyone, team)


def _merged(
    items: Tensor, values: Tensor, more_items: Tensor, more_values: Tensor, users: Tensor, ties: TieBreak
) -> tuple[Tensor, Tensor]:
    """The best of two lists per row, as long as the first; equal scores in the order of their priorities."""
    length = items.shape[1]
    items, values = torch.cat([items, more_items], dim=1), torch.cat([values, more_values], dim=1)
    by_priority = ties.priorities(users, items.clamp(min=0)).argsort(dim=1, descending=True)
    by_value = values.gather(1, by_priority).argsort(dim=1, descending=True, stable=True)
    order = by_priority.gather(1, by_value)[:, :length]
    return items.gather(1, order), values.gather(1, order)
