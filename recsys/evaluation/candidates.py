"""Candidate lists: the items a base recommender would show next, written for the LLM to judge."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.interactions import UserItems
from augrec.artefacts.ranked_lists import write_ranked_lists
from augrec.artefacts.sorted_rows import among
from recsys.data.dataset import Dataset
from recsys.evaluation.masking import masked, masked_positions, writable
from recsys.evaluation.ranking import Scores, default_chunk
from recsys.evaluation.top_items import TieBreak, top_items


def write_candidates(
    scores: Scores,
    dataset: Dataset,
    size: int,
    out_path: Path,
    *,
    seed: int = 0,
    chunk: int | None = None,
    device: torch.device | str = "cpu",
) -> int:
    """Writes the `size` best items of every user that are not in its training items, as candidates.parquet.

    Columns user:int32, rank:int32 (0 = best), item:int32, score:float32, in this order of rows. Users with fewer items
    to choose from get fewer rows. Only training interactions are looked at.

    Args:
        scores: users int64 [b] -> [b, n_items]; an item at -inf is never a candidate.
        size: items per user, LLMRec's |C|.
        out_path: the file, written atomically.
        seed: orders items with exactly equal scores, together with the source ids of user and item.
        chunk: users per call; memory only. None bounds a chunk of scores in bytes, as evaluation does.
        device: where the users handed to `scores` lie.

    Returns:
        The number of rows.

    Raises:
        AugrecError: a score is NaN or +inf, or a training item slipped in.
    """
    if size < 1:
        raise AugrecError(f"{size} candidates per user were asked for", remedy="set candidates.size to 1 or more")
    starts, ties = dataset.starts("train"), SourceTies.of_dataset(dataset, seed, device)
    parts, leaders, known = [], Leaders(), np.diff(starts)
    everybody, begin, width = np.arange(dataset.n_users), 0, chunk or default_chunk(dataset.n_items)
    while begin < dataset.n_users:
        users = everybody[begin : begin + width]
        parts.append(_best(scores, users, dataset, starts, size, ties, leaders, device))
        first, begin = begin == 0, begin + width
        if chunk is None and leaders.known and begin < dataset.n_users:
            # Few items are looked at: as many as the one among these users who knows most makes necessary.
            if first:
                everybody[begin:] = everybody[begin:][np.argsort(-known[begin:], kind="stable")]
            width = default_chunk(leaders.count(size + int(known[everybody[begin]])))
    user, item, score = (np.concatenate(column) for column in zip(*parts, strict=True))
    if leaders.known:  # else users were taken in order
        order = np.argsort(user, kind="stable")
        user, item, score = user[order], item[order], score[order]
    owned = among(user * dataset.n_items + item, dataset.train @ np.array([dataset.n_items, 1]))
    if owned.any():
        where = f"user {user[owned][0]}, item {item[owned][0]}"
        raise AugrecError("a training item is among the candidates; this is an error in the program", where=where)
    write_ranked_lists(out_path, UserItems.build(user, item, dataset.n_users), score)
    return len(user)


@dataclass(frozen=True, eq=False)
class SourceTies(TieBreak):
    """Ties in an order that follows from source ids: one item more shifts contiguous ids, and no candidates."""

    user_codes: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    """int64 [n_users], below 2^31."""
    item_codes: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    """int64 [n_items], below 2^31, all different."""

    @classmethod
    def of_dataset(cls, dataset: Dataset, seed: int, device: torch.device | str) -> SourceTies:
        """Of a data set's source ids; of contiguous ones where it has none."""
        plain = TieBreak.seeded(dataset.n_users, dataset.n_items, seed)
        sides = ((dataset.users, dataset.n_users), (dataset.items, dataset.n_items))
        codes = (
            _codes(table["source_id"].to_pylist()) if "source_id" in table.column_names else np.arange(count)
            for table, count in sides
        )
        return cls(plain.n_items, plain.words, 0, *(torch.from_numpy(one).to(device) for one in codes))

    def of(self, users: Tensor, items: Tensor) -> Tensor:
        """See TieBreak."""
        codes = (codes.to(ids.device)[ids] for codes, ids in ((self.user_codes, users), (self.item_codes, items)))
        return super().of(*codes)

    def among(self, items: Tensor) -> SourceTies:
        """The same priorities for `items` (int64 [m]) alone, which then count from 0."""
        return replace(self, n_items=len(items), item_codes=self.item_codes[items.to(self.item_codes.device)])


class Leaders:
    """The items that can be in anybody's list, of scores that are the same for everybody, as popularity's are.

    Whoever has m items has the `size` best of the others among the first m + `size`. So the catalogue is put in order
    once, and what a user costs does not grow with it.
    """

    def __init__(self) -> None:
        self._scores: Tensor | None = None

    def first(self, matrix: Tensor, count: int) -> Tensor | None:
        """The items int64 [m] of the `count` best scores, and of scores equal to the last of them, the best first.

        None where all items have to be looked at: users have scores of their own, or some are no numbers.

        Args:
            matrix: [b, n_items], whose rows are one where they are the same by how the scorer made them.
            count: of scores.
        """
        if len(matrix) < 2 or matrix.stride(0):
            return None
        scores = matrix[0]
        if self._scores is None or not torch.equal(scores, self._scores):
            if _bad(scores).any():
                return None
            self._scores, (self._lowness, self._order) = scores.clone(), (-scores).sort()
            self._place = self._order.argsort()
        return self._order[: self.count(count)]

    @property
    def known(self) -> bool:
        """Whether scores that are the same for everybody were met."""
        return self._scores is not None

    def count(self, count: int) -> int:
        """How many items have the `count` best scores, or one that is equal to the last of them."""
        last = self._lowness[min(count, len(self._lowness)) - 1]
        return int(torch.searchsorted(self._lowness, last, right=True))

    def places(self, items: Tensor) -> Tensor:
        """int64 [m]: where `items` stand in the order of the scores."""
        return self._place[items.to(self._place.device)]


def _codes(source_ids: Sequence[str]) -> np.ndarray:
    """int64 [n] below 2^31: a number of its own for every id; which, depends on others only where two are alike."""
    codes = np.array([_code(source_id, 0) for source_id in source_ids], dtype=np.int64)
    first = np.zeros(len(codes), dtype=bool)
    first[np.unique(codes, return_index=True)[1]] = True
    taken = set(codes[first].tolist()) if not first.all() else set()
    for place in np.flatnonzero(~first).tolist():
        attempt = 1
        while (code := _code(source_ids[place], attempt)) in taken:
            attempt += 1
        taken.add(code)
        codes[place] = code
    return codes


def _code(source_id: str, attempt: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{attempt}/{source_id}".encode()).digest()[:4]) >> 1


@torch.no_grad()
def _best(
    scores: Scores,
    users: np.ndarray,
    dataset: Dataset,
    starts: np.ndarray,
    size: int,
    ties: SourceTies,
    leaders: Leaders,
    device: torch.device | str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(user, item, score) of the candidates of `users`, in the order of users, then ranks."""
    ids = torch.from_numpy(users).to(device)
    matrix = scores(ids)
    if matrix.shape != (len(users), dataset.n_items):
        raise AugrecError(f"the base model scored {tuple(matrix.shape)}, expected {(len(users), dataset.n_items)}")
    rows, columns = map(torch.from_numpy, masked_positions(users, dataset.train[:, 1], starts))
    first = leaders.first(matrix, size + int((starts[users + 1] - starts[users]).max()))
    if first is not None:
        matrix, ties, columns = (
            matrix[0, first].expand(len(users), -1),
            ties.among(first),
            leaders.places(columns).cpu(),
        )
        rows, columns = (part[columns < len(first)] for part in (rows, columns))
    matrix = writable(matrix)
    places = (rows * matrix.shape[1] + columns).to(matrix.device)
    with masked(matrix, places) as before:
        top = top_items(matrix, ids.to(matrix.device), size, ties)
    # NaN and infinity come first in a list, so the matrix need not be searched.
    if _bad(top.values[:, :1]).any() or _bad(before).any():
        wrong = _bad(matrix).any(dim=1)
        raise AugrecError(
            "the base model's scores hold NaN or infinity",
            where=f"user {int(users[int(wrong.nonzero()[0, 0])])}",
            remedy="its training diverged: lower its learning rate",
        )
    chosen = top.items if first is None else first[top.items].where(top.items >= 0, -1)
    items, values = (part.cpu().numpy() for part in (chosen, top.values))
    row, rank = np.nonzero(items >= 0)  # by row, then by rank
    return users[row], items[row, rank], values[row, rank]


def _bad(scores: torch.Tensor) -> torch.Tensor:
    """Which scores are no numbers to rank by; -inf is one, of items that are never shown."""
    return torch.isnan(scores) | (scores == torch.inf)
