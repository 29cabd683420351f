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

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.result import Result, add_json_option, report, run
from benchmarks.sasrec_published import PublishedSasRec, published_batches
from benchmarks.timing import best_cpu_seconds, one_thread
from recsys.augmentation import SideInformation
from recsys.batches.next_items import NextItemBatches, NextItems
from recsys.batches.sequences import InsertedSequences, Sequences, TrainingWindows, Windows
from recsys.batches.unowned import UnownedItems
from recsys.data.dataset import Dataset
from recsys.models.build import build_model
from recsys.models.registry import FAMILIES
from recsys.models.sequential.sasrec import SASRec
from recsys.seeds import seeded

USERS, ITEMS, LEAST, MEAN = 6_040, 3_706, 20, 165.6
DIM, LENGTH, BLOCKS, DROPOUT, BATCH, LR = 64, 50, 2, 0.2, 256, 1e-3
LARGEST_DIFFERENCE, FASTER, THAN_CORNAC = 1e-4, 1.5, 10.0
LIBRARY = "cornac"


def data(n_users: int = USERS, n_items: int = ITEMS) -> Dataset:
    """Sequences as long as MovieLens-1M's, of items with a skew; the same in every call."""
    rng = np.random.default_rng(0)
    lengths = np.minimum(LEAST + rng.exponential(MEAN - LEAST, n_users).astype(int), n_items // 2)
    weights = (np.arange(n_items) + 50.0) ** -0.9
    keys = np.log(weights / weights.sum()) + rng.gumbel(size=(n_users, n_items))
    taken = np.argsort(-keys, axis=1)
    pairs = np.array([(user, item) for user, length in enumerate(lengths) for item in taken[user, :length]])
    none = np.zeros((0, 2), dtype=np.int64)
    times = np.arange(len(pairs))
    return Dataset.from_arrays(n_users, n_items, pairs, none, none, timestamps=[times, times[:0], times[:0]])


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


def padded(rows: Tensor, windows: Windows) -> np.ndarray:
    """Rows [b, w] of ids as the published structure has them: from 1, and padded in front."""
    found = np.zeros((len(rows), LENGTH), dtype=np.int64)
    for row, (ids, length) in enumerate(zip(rows.tolist(), windows.length.tolist(), strict=True)):
        found[row, LENGTH - length :] = np.array(ids[:length]) + 1
    return found


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


def apart(found: Tensor | None, expected: Tensor | None) -> float:
    """The largest difference, relative to the largest value."""
    assert found is not None
    assert expected is not None
    return float((found - expected).abs().max() / expected.abs().max())


def stepping(model: nn.Module) -> Callable[[Tensor], None]:
    """A move of an optimiser by a loss."""
    optimiser = torch.optim.Adam(model.parameters(), lr=LR, fused=True)

    def step(loss: Tensor) -> None:
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return step


def sequences_of(dataset: Dataset) -> list[list[int]]:
    """The items of every user, from 1, oldest first."""
    starts = dataset.starts("train")
    items = dataset.train[dataset.by_time("train"), 1] + 1
    return [items[begin:end].tolist() for begin, end in pairwise(starts)]


def epochs(dataset: Dataset, rounds: int) -> list[Result]:
    """Epochs and steps of both structures."""
    model, published = ours(dataset), PublishedSasRec(dataset.n_items, DIM, LENGTH, BLOCKS, DROPOUT)
    move, their_move = stepping(model), stepping(published)
    source, sequences, rng = batches(dataset), sequences_of(dataset), np.random.default_rng(0)
    batch: NextItems = next(source.epoch())
    theirs = next(published_batches(sequences, dataset.n_items, LENGTH, BATCH, rng))

    def epoch() -> None:
        for drawn in source.epoch():
            move(model.loss(drawn)["binary"])

    def their_epoch() -> None:
        for drawn in published_batches(sequences, dataset.n_items, LENGTH, BATCH, rng):
            their_move(published.loss(*drawn))

    found = best_cpu_seconds(
        {
            "epoch": epoch,
            "their epoch": their_epoch,
            "step": lambda: move(model.loss(batch)["binary"]),
            "their step": lambda: their_move(published.loss(*theirs)),
        },
        rounds,
    )
    return [
        Result.unjudged("an epoch", found["epoch"], "s", "for scale"),
        Result.at_least("an epoch, published structure / ours", found["their epoch"] / found["epoch"], FASTER, "x"),
        Result.unjudged("a step, published structure / ours", found["their step"] / found["step"], "x", "no batches"),
    ]


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


def beside_published(
    arguments: Sequence[str] | None,
    model: str,
    about: str | None,
    differences: Callable[[Dataset], dict[str, float]],
    measures: Sequence[Callable[[Dataset, int], list[Result]]],
) -> int:
    """The command line of a sequential model's benchmark beside published structures; returns the exit status.

    Args:
        arguments: of the command line; None takes the process's.
        model: how it is called, and in lower case the benchmark after it.
        about: the benchmark's docstring.
        differences: by what loss and gradients of equal weights differ, by name.
        measures: each of the data and the number of rounds.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{model.lower()}_epoch", description=(about or "").splitlines()[0]
    )
    add_json_option(parser)
    parser.add_argument("--rounds", type=int, default=3, help="of which the best counts (default: %(default)s)")
    parser.add_argument("--users", type=int, default=USERS, help="default: %(default)s")
    given = parser.parse_args(arguments)
    torch.manual_seed(0)
    with one_thread():
        dataset = data(given.users)
        results = [
            Result.at_most(f"{name} of equal weights, published structure", value, LARGEST_DIFFERENCE, "relative")
            for name, value in differences(dataset).items()
        ]
        for measure in measures:
            results += measure(dataset, given.rounds)
    return report(f"An epoch of {model}", results, given.json)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    return beside_published(arguments, "SASRec", __doc__, differences, (epochs, cornac))


if __name__ == "__main__":
    run(main)
