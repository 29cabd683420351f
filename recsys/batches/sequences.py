"""Users' items in order of time, with suggested ones between them, and the windows of them that a batch is made of.

A window is a row that begins with its oldest item; what is left of the row stands behind the newest and is looked at by
nobody. A model that counts positions from the newest item then gives what rows padded in front would give, and a causal
one needs no mask for padding. Everything is gathered by places in one array of all items, on the device, for a whole
batch at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from augrec.artefacts.errors import DataError
from augrec.artefacts.interactions import by_time
from recsys.augmentation import Insertions
from recsys.data.dataset import Dataset

HIDDEN = -1
"""Stands in a window for an item that is not shown."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Consecutive items of users, oldest first.

    Attributes:
        items: int64 [b, w]; behind the `length` items of a row stands 0, which nobody reads.
        length: int64 [b].
    """

    items: Tensor
    length: Tensor

    def __len__(self) -> int:
        return len(self.length)

    @property
    def real(self) -> Tensor:
        """bool [b, w]: where there is an item."""
        return torch.arange(self.items.shape[1], device=self.items.device) < self.length[:, None]

    def rows(self, chosen: Tensor | slice) -> Windows:
        """Some of the rows."""
        return Windows(self.items[chosen], self.length[chosen])

    def to(self, device: torch.device | str) -> Windows:
        """The windows on another device."""
        return Windows(self.items.to(device), self.length.to(device))

    def appended(self, item: int) -> Windows:
        """Every window with one more item behind its newest one."""
        items = torch.cat([self.items, self.items.new_zeros(len(self), 1)], 1)
        return Windows(items.scatter(1, self.length[:, None], item), self.length + 1)


class Sequences(nn.Module):
    """The items of every user, oldest first. Its buffers are no part of `state_dict`.

    Args:
        items: int64 [m], in user order.
        starts: int64 [n_users + 1], user u's items are items[starts[u] : starts[u + 1]].
    """

    items: Tensor
    starts: Tensor

    def __init__(self, items: Tensor, starts: Tensor) -> None:
        super().__init__()
        self.register_buffer("items", items, persistent=False)
        self.register_buffer("starts", starts, persistent=False)

    @classmethod
    def of(cls, dataset: Dataset, splits: Sequence[str] = ("train",)) -> Sequences:
        """The interactions of some splits in the order that the data have in time (`Dataset.clock`).

        Raises:
            DataError: the data have no times.
        """
        clocks = [dataset.clock(split) for split in splits]
        if any(part is None for part in clocks):
            raise DataError(
                "a model of sequences needs the times of interactions, and the data have none",
                where=dataset.folder,
                remedy="name the column that holds them (dataset.source), or choose a model that needs no order",
            )
        pairs = np.concatenate([dataset.pairs(split) for split in splits])
        pairs = pairs[by_time(pairs, np.concatenate([part for part in clocks if part is not None]))]
        starts = np.searchsorted(pairs[:, 0], np.arange(dataset.n_users + 1))
        return cls(torch.from_numpy(pairs[:, 1].copy()), torch.from_numpy(starts))

    @property
    def counts(self) -> Tensor:
        """int64 [n_users], the items of every user."""
        return self.starts.diff()

    def latest(self, users: Tensor, length: int) -> Windows:
        """The last items of `users` (int64 [b]), at most `length`."""
        end = self.starts[users + 1]
        return self.cut(torch.maximum(self.starts[users], end - length), end)

    def cut(self, begin: Tensor, end: Tensor) -> Windows:
        """The items from place `begin` up to `end` of the array of all items, int64 [b] each."""
        length = end - begin
        width = int(length.max()) if len(length) else 0
        if not width:
            return Windows(begin.new_zeros(len(begin), 0), length)
        steps = torch.arange(width, device=self.items.device)
        places = (begin[:, None] + steps).clamp(max=len(self.items) - 1)
        return Windows(self.items[places].masked_fill(steps >= length[:, None], 0), length)


class InsertedSequences:
    """Training sequences between whose items suggested ones stand, each with a chance that is drawn in every epoch.

    Args:
        sequences: of the training interactions.
        insertions: on known users; None for none.
        rate: the chance.
        generator: on the device of the sequences; not of anything else, so that the order of windows is the same with
            and without insertions.

    Raises:
        DataError: a position lies beyond the user's training items.
    """

    def __init__(
        self, sequences: Sequences, insertions: Insertions | None, rate: float, generator: torch.Generator
    ) -> None:
        self.plain, self.rate, self.generator = sequences, rate, generator
        self.count = len(insertions) if insertions is not None and rate else 0
        if not insertions or not self.count:
            return
        counts = sequences.counts.cpu().numpy()
        beyond = np.flatnonzero(insertions.position > counts[insertions.user])
        if len(beyond):
            row = beyond[0]
            user = insertions.user[row]
            raise DataError(
                f"an insertion at position {insertions.position[row]} of a sequence of {counts[user]} training items",
                where=f"user {user}",
                remedy="run the augment stage on this run's dataset",
            )
        device = sequences.items.device
        # Sorted by user, then by place, an insertion before the item at whose place it is.
        place = sequences.starts.cpu().numpy()[insertions.user] + insertions.position
        own = np.arange(len(sequences.items))
        owner = np.repeat(np.arange(len(counts)), counts)
        users = np.concatenate([insertions.user, owner])
        order = np.lexsort((np.r_[np.zeros(self.count), np.ones(len(own))], np.r_[place, own], users))
        items = np.concatenate([insertions.item, sequences.items.cpu().numpy()])[order]
        self._items = torch.from_numpy(items).to(device)
        self._users = torch.from_numpy(users[order]).to(device)
        self._suggested = torch.from_numpy(order < self.count).to(device)

    def draw(self) -> Sequences:
        """The sequences of one epoch."""
        if not self.count:
            return self.plain
        device = self._items.device
        share = torch.rand(len(self._items), generator=self.generator, device=device)
        kept = ~self._suggested | (share < self.rate)
        counts = torch.bincount(self._users[kept], minlength=len(self.plain.starts) - 1)
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return Sequences(self._items[kept], starts)


class TrainingWindows:
    """The windows of an epoch in random order, in batches.

    Args:
        sequences: gives those of an epoch.
        span: most items of a window.
        overlap: how many items a window shares with the one before it: 1 where an item is what comes after the one
            before, so that each is looked for once.
        every: whether long sequences are cut into windows, the newest of which are full; else only the latest
            window of a user is taken.
        batch_size: windows per batch.
        generator: on the device of the sequences.
        left_out: bool [n_users], users who are not learned from beside those with fewer than two items.
    """

    def __init__(
        self,
        sequences: InsertedSequences,
        *,
        span: int,
        overlap: int,
        every: bool,
        batch_size: int,
        generator: torch.Generator,
        left_out: Tensor | None = None,
    ) -> None:
        self.sequences, self.span, self.overlap, self.every = sequences, span, overlap, every
        self.batch_size, self.generator, self.left_out = batch_size, generator, left_out
        short = int((sequences.plain.counts == 1).sum())
        self.notes = [f"{short} users have one training item, and so no next one"] if short else []
        if sequences.count:
            self.notes.append(f"{sequences.count} suggested insertions, each drawn with chance {sequences.rate:g}")
        if not len(self._places(sequences.plain)[0]):
            raise DataError(
                "no user has two training interactions, and so no item comes after another",
                remedy="check the split, and dataset.k_core",
            )

    def epoch(self) -> Iterator[tuple[Tensor, Windows]]:
        """Batches of users (int64 [b]) and a window of each, of two items at least; every call draws anew."""
        sequences = self.sequences.draw()
        user, begin, end = self._places(sequences)
        order = torch.randperm(len(user), generator=self.generator, device=self.generator.device)
        for rows in order.split(self.batch_size):
            yield user[rows], sequences.cut(begin[rows], end[rows])

    def _places(self, sequences: Sequences) -> tuple[Tensor, Tensor, Tensor]:
        """Users and the places where their windows begin and end, int64 [w] each."""
        counts, step = sequences.counts, self.span - self.overlap
        windows = (counts - self.overlap + step - 1) // step if self.every else torch.ones_like(counts)
        windows = windows * (counts > 1)
        if self.left_out is not None:
            windows = windows * ~self.left_out
        user = torch.repeat_interleave(windows)
        later = torch.arange(len(user), device=user.device) - (windows.cumsum(0) - windows)[user]
        end = sequences.starts[user + 1] - later * step
        begin = torch.maximum(sequences.starts[user], end - self.span)
        whole = end - begin > 1  # the oldest window of items without overlap may hold a single one
        return user[whole], begin[whole], end[whole]
