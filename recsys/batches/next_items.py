"""Batches for models that say, after each item of a window, which comes next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from recsys.batches.sequences import InsertedSequences, Sequences, TrainingWindows, Windows
from recsys.batches.unowned import UnownedItems

if TYPE_CHECKING:
    from recsys.models.options.sequential import SequenceOptions
    from recsys.training.job import FitJob


@dataclass(frozen=True, eq=False)
class NextItems:
    """Windows, and after each of their items the next one.

    Attributes:
        shown: the windows without their newest item.
        targets: int64 [b, w], what comes after each item that is shown.
        negatives: int64 [b, w], an item for each target that the user does not have, or None where none are drawn.
    """

    shown: Windows
    targets: Tensor
    negatives: Tensor | None = None

    def __len__(self) -> int:
        """Items that are predicted, over which the loss is a mean."""
        return int(self.shown.length.sum())

    def to(self, device: torch.device | str) -> NextItems:
        """The batch on another device."""
        negatives = None if self.negatives is None else self.negatives.to(device)
        return NextItems(self.shown.to(device), self.targets.to(device), negatives)

    def share(self, rank: int, size: int) -> NextItems:
        """Every `size`-th window; a batch of fewer windows than processes is given to each of them whole."""
        if size == 1 or len(self.shown) < size:
            return self
        part = slice(rank, None, size)
        negatives = None if self.negatives is None else self.negatives[part]
        return NextItems(self.shown.rows(part), self.targets[part], negatives)


class NextItemBatches:
    """The next items of every window of an epoch.

    Args:
        windows: that overlap by one item.
        unowned: draws the negatives; None for none.
        generator: of the negatives, on the device of the windows.
    """

    def __init__(self, windows: TrainingWindows, unowned: UnownedItems | None, generator: torch.Generator) -> None:
        self.windows, self.unowned, self.generator = windows, unowned, generator
        self.notes = list(windows.notes)
        if windows.left_out is not None and windows.left_out.any():
            self.notes.append(f"{int(windows.left_out.sum())} users have every item, and so no negative")

    def epoch(self) -> Iterator[NextItems]:
        """See `Batches.epoch`."""
        for user, window in self.windows.epoch():
            targets = window.items[:, 1:]
            negatives = None
            if self.unowned is not None:
                negatives = self.unowned.draw(user[:, None].expand_as(targets), self.generator)
            yield NextItems(Windows(window.items[:, :-1], window.length - 1), targets, negatives)


def next_item_batches(job: FitJob, options: SequenceOptions, *, negatives: bool) -> NextItemBatches:
    """Those of a training.

    Args:
        job: of the training.
        options: of its model.
        negatives: whether each target has one.
    """
    data, device = job.dataset, job.accelerator.device
    sequences = inserted_sequences(job, options)
    unowned: UnownedItems | None = None
    full: Tensor | None = None
    if negatives:
        # An item that is suggested for a user is a target of the user's, and so no negative in any epoch.
        suggested = job.side.insertions if sequences.count else None
        pairs = data.train if suggested is None else np.r_[data.train, np.c_[suggested.user, suggested.item]]
        unowned = UnownedItems(pairs, data.n_users, data.n_items).to(device)
        full = unowned.degree == data.n_items
    windows = TrainingWindows(
        sequences,
        span=options.length + 1,
        overlap=1,
        every=options.windows == "all",
        batch_size=job.training.batch_size,
        generator=job.generator("windows"),
        left_out=full,
    )
    return NextItemBatches(windows, unowned, job.generator("sampler"))


def inserted_sequences(job: FitJob, options: SequenceOptions) -> InsertedSequences:
    """The training sequences of a job, with the suggestions that its options let in."""
    sequences = Sequences.of(job.dataset).to(job.accelerator.device)
    return InsertedSequences(sequences, job.side.insertions, options.insertion_rate, job.generator("insertions"))
