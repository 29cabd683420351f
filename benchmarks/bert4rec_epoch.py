"""How much faster is an epoch of BERT4Rec than in the structure of published code?

    python -m benchmarks.bert4rec_epoch [--json FILE] [--rounds N] [--users N]

The data of `benchmarks.sequential`, which are as large as MovieLens-1M; embeddings of 64, two blocks, the latest 50
items, half of them hidden, dropout .2, softmax over all items, batches of 256, Adam. The published structure is in
`benchmarks.bert4rec_published`. First both are given the same weights, and the loss of the same batch and its gradients
are compared. An epoch is every user once, with its batches; without them it is a step. CPU time, one thread, the best
of N rounds in turns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from benchmarks.bert4rec_published import IGNORED, PublishedBert4Rec, published_batches
from benchmarks.result import Result, run
from benchmarks.sequential import (
    BATCH,
    BLOCKS,
    DIM,
    DROPOUT,
    LENGTH,
    Trained,
    apart,
    beside,
    beside_published,
    padded,
    sequences_of,
)
from recsys.augmentation import SideInformation
from recsys.batches.cloze import ClozeBatches
from recsys.batches.sequences import InsertedSequences, Sequences, TrainingWindows
from recsys.data.dataset import Dataset
from recsys.models.build import build_model
from recsys.models.registry import FAMILIES
from recsys.models.sequential.bert4rec import BERT4Rec
from recsys.seeds import seeded

HIDE = 0.5


def ours(dataset: Dataset, dropout: float = DROPOUT) -> BERT4Rec:
    """A model with the benchmark's settings."""
    given = {"dim": DIM, "length": LENGTH, "blocks": BLOCKS, "dropout": dropout, "hide": HIDE, "hide_newest": 0.0}
    options = FAMILIES["bert4rec"].options.model_validate(given)
    model = build_model(dataset, SideInformation(), options, seeded(0, "parameters"))
    assert isinstance(model, BERT4Rec)
    return model.train()


def batches(dataset: Dataset) -> ClozeBatches:
    """Those of an epoch."""
    sequences = InsertedSequences(Sequences.of(dataset), None, 0.0, seeded(0, "insertions"))
    windows = TrainingWindows(
        sequences, span=LENGTH, overlap=0, every=False, batch_size=BATCH, generator=seeded(0, "windows")
    )
    return ClozeBatches(windows, rate=HIDE, newest=0.0, generator=seeded(0, "sampler"))


def differences(dataset: Dataset) -> dict[str, float]:
    """The largest difference, relative to the largest value, of loss and gradients of one batch without dropout."""
    model, published = ours(dataset, 0.0), PublishedBert4Rec(dataset.n_items, DIM, LENGTH, BLOCKS, 0.0)
    published.take(model)
    batch = next(batches(dataset).epoch())
    items, hidden = padded(batch.targets, batch.shown), padded(batch.hidden.long(), batch.shown) == 2  # counted from 1
    loss = model.loss(batch)["cloze"]
    theirs = published.loss(np.where(hidden, dataset.n_items + 1, items), np.where(hidden, items, IGNORED))
    loss.backward()
    theirs.backward()
    assert published.items.weight.grad is not None
    assert model.hidden_item is not None
    pairs = {
        "loss": (loss.detach(), theirs.detach()),
        "gradient of items": (model.item_embedding.grad, published.items.weight.grad[1:-1]),
        "gradient of positions": (model.position_embedding.grad, published.positions.weight.grad),
        "gradient of what stands for the hidden": (model.hidden_item.grad, published.items.weight.grad[-1]),
    }
    return {name: apart(found, _there(expected)) for name, (found, expected) in pairs.items()}


def _there(gradient: torch.Tensor | None) -> torch.Tensor:
    assert gradient is not None
    return gradient


def epochs(dataset: Dataset, rounds: int) -> list[Result]:
    """Epochs and steps of both structures."""
    model, published = ours(dataset), PublishedBert4Rec(dataset.n_items, DIM, LENGTH, BLOCKS, DROPOUT)
    source, sequences, rng = batches(dataset), sequences_of(dataset), np.random.default_rng(0)
    return beside(
        Trained(model, source.epoch, lambda batch: model.loss(batch)["cloze"]),
        Trained(
            published,
            lambda: published_batches(sequences, dataset.n_items, LENGTH, BATCH, HIDE, rng),
            lambda batch: published.loss(*batch),
        ),
        rounds,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    return beside_published(arguments, "BERT4Rec", __doc__, differences, (epochs,))


if __name__ == "__main__":
    run(main)
