"""How much faster is an epoch of SASRec than in the structure of published code, and than in Cornac?

    python -m benchmarks.sasrec_epoch [--json FILE] [--rounds N] [--users N]

Sizes of MovieLens-1M: 6,040 users with 20 items or more and about 165 on average, 3,706 items; embeddings of 64, two
blocks, the latest 50 steps, dropout .2, binary loss with a negative per step, batches of 256, Adam. The published
structure is in `benchmarks.sasrec_published`. First both are given the same weights, and the loss of the same batch and
its gradients are compared. An epoch is every user once, with its batches; without them it is a step.

Cornac, of `requirements/bench.txt`, is compared where it is installed, in an environment of its own or here. It learns
from the last item of every beginning of a sequence by itself, so that its epoch is compared with `windows: all`, in
which every item is looked for once: by the time of a step, over the items that the step looks for. CPU time, one
thread, the best of N rounds in turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.result import Result, run
from benchmarks.sasrec_published import PublishedSasRec, published_batches
from benchmarks.sequential import (
    BATCH,
    BLOCKS,
    DIM,
    DROPOUT,
    LARGEST_DIFFERENCE,
    LENGTH,
    Trained,
    apart,
    beside,
    beside_published,
    padded,
    sequences_of,
    stepping,
)
from benchmarks.timing import best_cpu_seconds
from recsys.augmentation import SideInformation
from recsys.batches.next_items import NextItemBatches
from recsys.batches.sequences import InsertedSequences, Sequences, TrainingWindows
from recsys.batches.unowned import UnownedItems
from recsys.data.dataset import Dataset
from recsys.models.build import build_model
from recsys.models.registry import FAMILIES
from recsys.models.sequential.sasrec import SASRec
from recsys.seeds import seeded

THAN_CORNAC = 10.0
LIBRARY = "cornac"


def ours(dataset: Dataset, **changes: object) -> SASRec:
    """A model with the benchmark's settings."""
    given = {"dim": DIM, "length": LENGTH, "blocks": BLOCKS, "dropout": DROPOUT, "normalised": "queries", **changes}
    options = FAMILIES["sasrec"].options.model_validate(given)
    model = build_model(dataset, SideInformation(), options, seeded(0, "parameters"))
    assert isinstance(model, SASRec)
    return model.train()


def batches(dataset: Dataset, *, every: bool = False) -> NextItemBatches:
    """Those of an epoch."""
    sequences = InsertedSequences(Sequences.of(dataset), None, 0.0, seeded(0, "insertions"))
    windows = TrainingWindows(
        sequences, span=LENGTH + 1, overlap=1, every=every, batch_size=BATCH, generator=seeded(0, "windows")
    )
    unowned = UnownedItems(dataset.train, dataset.n_users, dataset.n_items)
    return NextItemBatches(windows, unowned, seeded(0, "sampler"))


def differences(dataset: Dataset) -> dict[str, float]:
    """The largest difference, relative to the largest value, of loss and gradients of one batch without dropout."""
    model = ours(dataset, dropout=0.0)
    published = PublishedSasRec(dataset.n_items, DIM, LENGTH, BLOCKS, 0.0)
    published.take(model)
    batch = next(batches(dataset).epoch())
    assert batch.negatives is not None
    loss = model.loss(batch)["binary"]
    theirs = published.loss(
        *(padded(rows, batch.shown) for rows in (batch.shown.items, batch.targets, batch.negatives))
    )
    loss.backward()
    theirs.backward()
    items, positions = published.items.weight.grad, published.positions.weight.grad
    assert items is not None
    pairs = {
        "loss": (loss.detach(), theirs.detach()),
        "gradient of items": (model.item_embedding.grad, items[1:]),
        "gradient of positions": (model.position_embedding.grad, positions),
    }
    return {name: apart(*pair) for name, pair in pairs.items()}


def epochs(dataset: Dataset, rounds: int) -> list[Result]:
    """Epochs and steps of both structures."""
    model, published = ours(dataset), PublishedSasRec(dataset.n_items, DIM, LENGTH, BLOCKS, DROPOUT)
    source, sequences, rng = batches(dataset), sequences_of(dataset), np.random.default_rng(0)
    return beside(
        Trained(model, source.epoch, lambda batch: model.loss(batch)["binary"]),
        Trained(
            published,
            lambda: published_batches(sequences, dataset.n_items, LENGTH, BATCH, rng),
            lambda batch: published.loss(*batch),
        ),
        rounds,
    )


def cornac_model(model: SASRec) -> Any:
    """Cornac's network with the weights of ours."""
    published = PublishedSasRec(len(model.item_embedding), DIM, LENGTH, BLOCKS, 0.0)
    published.take(model)
    make = import_module("cornac.models.sasrec.sasrec").SASRecModel
    theirs = make(len(model.item_embedding), DIM, LENGTH, BLOCKS, 1, use_biases=False, dropout=DROPOUT)
    parts = (published.attention, published.inner, published.outer, published.attention_norms, published.network_norms)
    with torch.no_grad():
        theirs.item_emb.weight[:-1] = published.items.weight[1:]
        theirs.pos_emb.weight[:LENGTH] = published.positions.weight
        theirs.last_layernorm.load_state_dict(published.last_norm.state_dict())
        for number, (attention, inner, outer, attention_norm, network_norm) in enumerate(zip(*parts, strict=True)):
            theirs.attention_layers[number].load_state_dict(attention.state_dict())
            theirs.attention_layernorms[number].load_state_dict(attention_norm.state_dict())
            theirs.forward_layernorms[number].load_state_dict(network_norm.state_dict())
            process = theirs.forward_layers[number].process
            process[0].load_state_dict(inner.state_dict())
            process[3].load_state_dict(outer.state_dict())
    for module in theirs.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-5
    return theirs


def cornac(dataset: Dataset, rounds: int) -> list[Result]:
    """States of equal weights, and the time that an item costs which is looked for."""
    if find_spec(LIBRARY) is None:
        return [Result.unjudged("Cornac", None, "", "is not installed: requirements/bench.txt")]
    model = ours(dataset)
    theirs = cornac_model(model)
    losses = import_module("cornac.models.seq_utils.losses")
    windows = next(batches(dataset, every=True).epoch())
    history = padded(windows.shown.items, windows.shown) - 1
    given = torch.from_numpy(np.where(history < 0, dataset.n_items, history))
    rows = torch.arange(len(given))
    with torch.no_grad():
        newest = model.eval().states(windows.shown)[rows, windows.shown.length - 1]
        other = theirs.eval()(None, given, rows, return_hidden=True)[0]
    move, their_move = stepping(model.train()), stepping(theirs.train())
    targets = torch.from_numpy(np.random.default_rng(0).integers(0, dataset.n_items, 2 * len(given)))
    criterion = losses.get_loss_function("bce")

    def their_step() -> None:
        their_move(
            criterion(theirs(None, given, targets), out_iids=targets, batch_size=len(given), n_sample=len(given))
        )

    found = best_cpu_seconds({"ours": lambda: move(model.loss(windows)["binary"]), "theirs": their_step}, rounds)
    ratio = (found["theirs"] / len(given)) / (found["ours"] / len(windows))
    return [
        Result.at_most("newest states, Cornac against ours", apart(newest, other), LARGEST_DIFFERENCE, "relative"),
        Result.at_least("an item that is looked for, Cornac / ours", ratio, THAN_CORNAC, "x"),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    return beside_published(arguments, "SASRec", __doc__, differences, (epochs, cornac))


if __name__ == "__main__":
    run(main)
