"""Is SASRec at least as fast as RecTools' `SASRecModel`, in as much memory, and does it learn as much?

    python -m benchmarks.sasrec_rectools [--json FILE] [--only binary|cross_entropy ...] [--part time|quality ...]
                                         [--rounds N] [--users N] [--epochs N] [--seeds N ...]

Both are trained as a user trains them: ours by `recsys.training.train`, RecTools' by its `fit`, which is Lightning's
loop, with the sizes of `benchmarks.sequential`: embeddings of 64, two blocks, one head, the latest 50 steps, dropout
.2, batches of 256, Adam at .001. RecTools' `BCE` with one negative is our `binary`, its `softmax` our `cross_entropy`.
Blocks are arranged alike: what asks is normalised, and attention adds to that. The rest is each library's own: RecTools
draws negatives from all items, those that the user has among them, starts from larger numbers, moves with a second beta
of .98, puts a bias and a last linear map into attention, and lets padding be attended to.

Time: data of MovieLens-1M's sizes, an epoch of both is every user's latest 51 items once, which is counted. Each
training is in a process of its own on one thread; they take turns, the least CPU time of a turn's epochs counts, and
what the process held at the most beyond its data and imports. Quality: MovieLens-100K from the installed recbole
package, 5-core, all ratings, each user's last item for the test. After equally many epochs both rank the items of
training for every user, and our evaluator says where the next one is; and the loss of that item, over all items that
the user does not have (`binary`) or over all (`cross_entropy`), so that nothing is drawn.
Exit status: 0 within targets, 1 not.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from augrec.artefacts.run_folder import RunFolder
from benchmarks.epoch import MISSING, Clock, movielens
from benchmarks.fresh import in_a_fresh_process, resident_bytes
from benchmarks.memory import held_most
from benchmarks.result import Result, add_json_option, report, run
from benchmarks.sasrec_epoch import batches
from benchmarks.sequential import BATCH, BLOCKS, DIM, DROPOUT, LENGTH, LR, USERS, data
from benchmarks.timing import one_thread
from recsys.augmentation import SideInformation
from recsys.batches.base import Queries
from recsys.batches.sequences import Sequences
from recsys.data.dataset import Dataset
from recsys.evaluation.next_item import evaluate_next_item, next_items
from recsys.models.options.sasrec import SasRecOptions
from recsys.options import EvaluationOptions, TrainingOptions
from recsys.training.restore import restore
from recsys.training.train import train

LOSSES = {"binary": "BCE", "cross_entropy": "softmax"}
"""Ours, and what RecTools calls it."""
PARTS = ("time", "quality")
EPOCHS, SEEDS = 100, (1, 2, 3)
TIMED = 2
"""Epochs of a turn that are timed."""
FASTER, BELOW = 1.0, 0.01
HIT_RATE = "hit_rate@10"


class Turn(NamedTuple):
    """One training for time: CPU seconds of its fastest epoch, peak bytes beyond data and imports."""

    seconds: float
    memory: int


class Learned(NamedTuple):
    """What one training gave on the test split: the next item among the first ten, and its loss."""

    hit_rate: float
    loss: float


def with_validation(dataset: Dataset) -> Dataset:
    """The same with the last item of every user for validation, which training asks for."""
    last = dataset.starts("train")[1:] - 1
    order = dataset.by_time("train")
    held = np.zeros(len(order), dtype=bool)
    held[order[last]] = True
    times = dataset.timestamps("train")
    assert times is not None
    parts = [dataset.train[~held], dataset.train[held], dataset.test]
    stamps = [times[~held], times[held], times[:0]]
    return Dataset.from_arrays(dataset.n_users, dataset.n_items, *parts, timestamps=stamps)


class Watch(Clock):
    """A `Ticker` that also notes the most bytes that were held when each epoch ended."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[int] = []

    def advance(self, done: int = 1) -> None:
        """See `Ticker`."""
        super().advance(done)
        self.held.append(held_most())


def ours(dataset: Dataset, loss: str, epochs: int, seed: int, folder: Path) -> Watch:
    """Our training, whose model is then in `folder`; validation is looked at after the last epoch alone."""
    training = TrainingOptions(
        epochs=epochs, evaluate_every=epochs, monitor=HIT_RATE, lr=LR, batch_size=BATCH, device="cpu", threads=1
    )
    watch, judging = Watch(), EvaluationOptions(cutoffs=(10,))
    train(dataset, options(loss), SideInformation(), training, judging, seed, folder, "", "", watch, judge_test=False)
    return watch


def options(loss: str) -> SasRecOptions:
    """The benchmark's model."""
    given = {"dim": DIM, "length": LENGTH, "blocks": BLOCKS, "dropout": DROPOUT, "normalised": "queries", "loss": loss}
    return SasRecOptions.model_validate(given)


def interactions(dataset: Dataset, splits: Sequence[str]) -> Any:
    """RecTools' data set of some splits, with the places in time for dates."""
    import pandas as pd
    from rectools import Columns
    from rectools.dataset import Dataset as RecToolsDataset

    sequences = Sequences.of(dataset, splits)
    users = np.repeat(np.arange(dataset.n_users), sequences.counts.numpy())
    dates = pd.to_datetime(np.arange(len(users)), unit="s")
    columns = {Columns.User: users, Columns.Item: sequences.items.numpy(), Columns.Weight: 1.0, Columns.Datetime: dates}
    return RecToolsDataset.construct(pd.DataFrame(columns))


def theirs(loss: str, epochs: int, begun: list[float], ended: list[float]) -> Any:
    """Their model, not yet fitted.

    Args:
        begun, ended: are given the CPU time at which each epoch begins and ends.
    """
    import pytorch_lightning as lightning
    from pytorch_lightning.callbacks import LambdaCallback
    from rectools.models import SASRecModel
    from rectools.models.nn.transformers.sasrec import SASRecDataPreparator

    class Preparator(SASRecDataPreparator):
        """Theirs, with the one token as an array: pandas 3 counts no tuples."""

        item_extra_tokens = np.array(SASRecDataPreparator.item_extra_tokens, dtype=object)

    def trainer() -> Any:
        clock = LambdaCallback(
            on_train_epoch_start=lambda *_: begun.append(process_time()),
            on_train_epoch_end=lambda *_: ended.append(process_time()),
        )
        quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
        return lightning.Trainer(max_epochs=epochs, accelerator="cpu", devices=1, callbacks=[clock], **quiet)

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")  # of a cluster's launcher, of features that items lack, and of pandas
    return SASRecModel(
        n_factors=DIM,
        n_blocks=BLOCKS,
        n_heads=1,
        session_max_len=LENGTH,
        dropout_rate=DROPOUT,
        batch_size=BATCH,
        loss=LOSSES[loss],
        n_negatives=1,
        lr=LR,
        recommend_torch_device="cpu",
        data_preparator_type=Preparator,
        get_trainer_func=trainer,
    )


def fitted(data: Any, loss: str, epochs: int, seed: int) -> tuple[Any, list[float]]:
    """Their training: the model, and the CPU seconds of each epoch."""
    begun: list[float] = []
    ended: list[float] = []
    torch.manual_seed(seed)
    model = theirs(loss, epochs, begun, ended)
    model.fit(data)
    return model, [end - start for start, end in zip(begun, ended, strict=True)]


def turn(library: str, dataset: Dataset, loss: str) -> Turn:
    """One training for time in this process, which should be fresh; a tiny one comes first and loads what it needs."""
    tiny = with_validation(data(8, 40))
    with tempfile.TemporaryDirectory() as scratch:
        if library == "ours":
            ours(tiny, loss, 1, 0, Path(scratch) / "tiny")
            before = resident_bytes()
            watch = ours(dataset, loss, TIMED + 2, 0, Path(scratch) / "timed")
            # The first epoch follows the set-up, the last one holds the validation, which theirs has not.
            times, held = np.diff(watch.times)[:-1].tolist(), watch.held[-2]
        else:
            fitted(interactions(tiny, ["train"]), loss, 1, 0)
            given = interactions(dataset, ["train"])
            before = resident_bytes()
            times, held = fitted(given, loss, TIMED, 0)[1], held_most()
    return Turn(min(times), held - before)


def looked_for(dataset: Dataset) -> tuple[int, int]:
    """How many items an epoch looks for: ours, and RecTools'."""
    prepared = theirs("binary", 1, [], []).data_preparator
    prepared.process_dataset_train(interactions(dataset, ["train"]))
    count = sum(int((batch["y"] != 0).sum()) for batch in prepared.get_dataloader_train())
    return sum(len(batch) for batch in batches(dataset).epoch()), count


def timed(dataset: Dataset, loss: str, rounds: int) -> list[Result]:
    """Turns of both, and what is reported of them."""
    turns = [
        {name: in_a_fresh_process(turn, name, dataset, loss) for name in ("ours", "RecTools")} for _ in range(rounds)
    ]
    seconds, memory = ({name: min(part) for name, part in _columns(turns, field).items()} for field in Turn._fields)
    ratios = [pair["RecTools"].seconds / pair["ours"].seconds for pair in turns]
    return [
        Result.unjudged(f"{loss}, ours: an epoch", seconds["ours"], "CPU-s", "one thread"),
        Result.unjudged(f"{loss}, RecTools: an epoch", seconds["RecTools"], "CPU-s", "one thread"),
        Result.at_least(f"{loss}: an epoch, RecTools / ours", seconds["RecTools"] / seconds["ours"], FASTER, "x"),
        Result.at_least(f"{loss}: the same, least of {rounds} turns", min(ratios), FASTER, "x"),
        Result.unjudged(f"{loss}, ours: memory", memory["ours"] / 1e6, "MB", "beyond data, imports"),
        Result.unjudged(f"{loss}, RecTools: memory", memory["RecTools"] / 1e6, "MB", "beyond data, imports"),
        Result.unjudged(f"{loss}: memory, ours / RecTools", memory["ours"] / memory["RecTools"], "x", "no target"),
    ]


def _columns(turns: Sequence[dict[str, Turn]], field: str) -> dict[str, list[float]]:
    return {name: [getattr(pair[name], field) for pair in turns] for name in turns[0]}


def our_scores(dataset: Dataset, loss: str, epochs: int, seed: int) -> Tensor:
    """float32 [n_users, n_items] of our model after so many epochs; see `learned`."""
    with tempfile.TemporaryDirectory() as scratch:
        ours(dataset, loss, epochs, seed, Path(scratch))
        model = restore(Path(scratch), dataset, options(loss), SideInformation())
    scores = model.scores(Queries(torch.arange(dataset.n_users), "test"))
    return scores.masked_fill(~told(dataset), -torch.inf)


def their_scores(dataset: Dataset, loss: str, epochs: int, seed: int) -> Tensor:
    """float32 [n_users, n_items] of RecTools' model, by its own `recommend`; see `learned`."""
    model, _ = fitted(interactions(dataset, ["train"]), loss, epochs, seed)
    context = interactions(dataset, ["train", "valid"])
    lists = model.recommend(np.arange(dataset.n_users), context, k=dataset.n_items, filter_viewed=False)
    scores = torch.full((dataset.n_users, dataset.n_items), -torch.inf)
    user, item, score = (torch.tensor(lists[name].to_numpy()) for name in ("user_id", "item_id", "score"))
    return scores.index_put((user, item), score.float())


def told(dataset: Dataset) -> Tensor:
    """bool [n_items]: which stand among the latest items of somebody, and so in training; RecTools knows no others."""
    windows = Sequences.of(dataset).latest(torch.arange(dataset.n_users), LENGTH + 1)
    found = torch.zeros(dataset.n_items, dtype=torch.bool)
    found[windows.items[windows.real]] = True
    return found


def learned(dataset: Dataset, scores: Tensor, loss: str) -> Learned:
    """How well scores tell the next item of the test split, for users whose next item is one that training tells.

    Args:
        scores: [n_users, n_items], -inf for items that training does not tell.
    """
    user, item = torch.from_numpy(next_items(dataset, "test")).T
    known = told(dataset)
    user, item = user[known[item]], item[known[item]]
    found = evaluate_next_item(
        lambda users: scores[users], dataset, "test", cutoffs=[10], users=np.sort(user.numpy())
    ).mean[HIT_RATE]
    rows, right = scores[user].double(), scores[user, item].double()
    if loss == "cross_entropy":
        return Learned(found, float((rows.logsumexp(1) - right).mean()))
    pairs = np.concatenate([dataset.train, dataset.valid, dataset.test])
    other = known.expand(scores.shape).clone()
    other[tuple(torch.from_numpy(pairs).T)] = False
    wrong = (F.softplus(rows) * other[user]).sum(1) / other[user].sum(1)
    return Learned(found, float((F.softplus(-right) + wrong).mean()))


def quality(loss: str, epochs: int, seeds: Sequence[int]) -> list[Result]:
    """Both after so many epochs, for each seed."""
    with tempfile.TemporaryDirectory() as folder:
        changes = {"min_rating": None, "split": {"kind": "leave_last_out"}}
        dataset = movielens(RunFolder(Path(folder)).dataset, **changes)
        makers = {"ours": our_scores, "RecTools": their_scores}
        found = {
            name: [learned(dataset, scores(dataset, loss, epochs, seed), loss) for seed in seeds]
            for name, scores in makers.items()
        }
    results = []
    for name, each in found.items():
        for seed, one in zip(seeds, each, strict=True):
            results.append(Result.unjudged(f"{loss}, {name}, seed {seed}: {HIT_RATE}", one.hit_rate, "", "test"))
            results.append(Result.unjudged(f"{loss}, {name}, seed {seed}: loss", one.loss, "nats", "test"))
    hits = {name: statistics.mean(one.hit_rate for one in each) for name, each in found.items()}
    results += [Result.unjudged(f"{loss}, {name}: {HIT_RATE}", value, "", "mean") for name, value in hits.items()]
    apart = hits["ours"] - hits["RecTools"]
    results.append(Result.at_least(f"{loss}: {HIT_RATE}, ours - RecTools", apart, -BELOW, "absolute"))
    return results


def measure(
    losses: Sequence[str], parts: Sequence[str], rounds: int, users: int, epochs: int, seeds: Sequence[int]
) -> list[Result]:
    """What is asked for of the two losses."""
    if not all(map(find_spec, ("rectools", "pytorch_lightning"))):
        return [Result.unjudged("RecTools", None, "", MISSING)]
    results = []
    with torch.random.fork_rng(devices=[]):
        if "time" in parts:
            dataset = with_validation(data(users))
            own, other = looked_for(dataset)
            results.append(
                Result.at_most("items that an epoch looks for, ours - RecTools", abs(own - other), 0, "items")
            )
            for loss in losses:
                results += timed(dataset, loss, rounds)
        if "quality" in parts:
            for loss in losses:
                results += quality(loss, epochs, seeds)
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sasrec_rectools", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--only", choices=LOSSES, nargs="+", default=list(LOSSES), help="with these losses alone")
    parser.add_argument("--part", choices=PARTS, nargs="+", default=PARTS, help="default: both")
    parser.add_argument("--rounds", type=int, default=3, help="turns of which the best counts (default: %(default)s)")
    parser.add_argument("--users", type=int, default=USERS, help="of the part that is timed (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of both, for quality (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="for quality (default: %(default)s)")
    add_json_option(parser)
    given = parser.parse_args(arguments)
    with one_thread():
        results = measure(given.only, given.part, given.rounds, given.users, given.epochs, given.seeds)
    return report("SASRec beside RecTools", results, given.json)


if __name__ == "__main__":
    run(main)
