"""Do models of ratings agree with those of DeepCTR-Torch, and how much faster is an epoch?

    python -m benchmarks.rating_models [--json FILE] [--rounds N] [--ratings N] [--model NAME]

DeepCTR-Torch 0.3.0 is no dependency (`pip install --no-deps deepctr-torch==0.3.0`); without it nothing is compared.
Sizes of MovieLens-100K's training part: 943 users with age, gender, occupation and zip code, 1,682 items with a year
and one to six genres, 80,000 ratings; embeddings of 16, batches of 1,024, layers of the library's defaults, Adam,
squared error, no penalty.

First both are given the same weights and the same pairs. Then an epoch is what somebody runs: `fit` of the library,
which has its fields in one matrix and hands out shuffled rows by torch's DataLoader, and here every training rating in
batches, with fields looked up by user and item. A step is the same without batches being made. CPU time, one thread,
the best of N rounds in turns.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from benchmarks.result import Result, add_json_option, report, run
from benchmarks.timing import best_cpu_seconds, one_thread
from recsys.augmentation import SideInformation
from recsys.batches.rated import RatedPairs, RatingBatches
from recsys.data.dataset import Dataset
from recsys.fields.fields import FieldValues, entity_fields
from recsys.models.build import build_model
from recsys.models.ctr.field_model import FieldModel
from recsys.models.registry import FAMILIES
from recsys.options import Judged

USERS, ITEMS, RATINGS = 943, 1_682, 80_000
DIM, BATCH, LR = 16, 1_024, 1e-3
MODELS = {"deepfm": "DeepFM", "nfm": "NFM", "dcn": "DCN", "afm": "AFM", "xdeepfm": "xDeepFM", "autoint": "AutoInt"}
"""Our families, and what the library calls them."""
LARGEST_DIFFERENCE, FASTER = 1e-5, 1.0
STEPS = 5
LIBRARY = "deepctr_torch"


def data(n_users: int = USERS, n_items: int = ITEMS, n_ratings: int = RATINGS) -> Dataset:
    """Random ratings of pairs with a skew, and tables whose columns have as many values as MovieLens-100K's."""
    rng = np.random.default_rng(0)
    pairs = np.empty((0, 2), dtype=np.int64)
    while len(pairs) < n_ratings:
        drawn = np.stack([rng.integers(0, n_users, n_ratings), (n_items * rng.random(n_ratings) ** 2).astype(int)], 1)
        pairs = np.unique(np.concatenate([pairs, drawn]), axis=0)
    pairs = rng.permutation(pairs)[:n_ratings]
    ratings = rng.integers(1, 6, n_ratings).astype(np.float32)
    users = {name: rng.integers(0, count, n_users).astype(str) for name, count in
             (("age", 61), ("gender", 2), ("occupation", 21), ("zip_code", 100))}  # fmt: skip
    genres = [sorted({f"genre {g}" for g in rng.integers(0, 19, rng.integers(1, 7))}) for _ in range(n_items)]
    items = {"year": rng.integers(0, 70, n_items).astype(str), "genres": pa.array(genres, pa.list_(pa.string()))}
    none = np.zeros((0, 2), dtype=np.int64)
    return Dataset.from_arrays(
        n_users,
        n_items,
        pairs,
        none,
        none,
        ratings=[ratings, none[:, 0], none[:, 0]],
        users=pa.table({"user": pa.array(range(n_users), pa.int32()), **users}),
        items=pa.table({"item": pa.array(range(n_items), pa.int32()), **items}),
    )


def ours(dataset: Dataset, family: str) -> FieldModel:
    """A model with the benchmark's settings, whose weights are drawn larger than at the start of a training."""
    options = FAMILIES[family].options.model_validate({"dim": DIM, "l2": 0.0})
    assert options.judged is Judged.RATING
    model = build_model(dataset, SideInformation(), options, torch.Generator().manual_seed(0))
    assert isinstance(model, FieldModel)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for table in (model.embedding.weight, model.first_order.weight if model.first_order else None):
            if table is not None:
                table.normal_(0, 0.3, generator=generator)
    return model


def library(module: str) -> Any:
    """A module of the library; its import asks a registry for newer versions, which is left out."""
    with patch.object(threading.Thread, "start", lambda thread: None):
        return import_module(f"{LIBRARY}.{module}")


class Theirs:
    """The library's model of the same sizes, and the matrix of fields that it reads.

    Args:
        dataset: of `data`.
        family: one of `MODELS`.
    """

    def __init__(self, dataset: Dataset, family: str) -> None:
        options: Any = FAMILIES[family].options
        fields = entity_fields(dataset, SideInformation(), options().fields, family)
        make = getattr(library("models"), MODELS[family])
        inputs = library("inputs")
        sides = [(0, field) for field in fields.users] + [(1, field) for field in fields.items]
        self.fields = [pair for single in (True, False) for pair in sides if pair[1].single is single]
        columns, parts = [], []
        for side, field in self.fields:
            name, ids = field.name.replace(".", "_"), dataset.train[:, side]
            if field.single:
                columns.append(inputs.SparseFeat(name, len(field.values), DIM))
                parts.append(field.places[ids][:, None])
            else:  # 0 fills up what is shorter, so values begin at 1
                padded = padded_places(field) + 1
                feature = inputs.SparseFeat(name, len(field.values) + 1, DIM)
                columns.append(inputs.VarLenSparseFeat(feature, padded.shape[1], combiner="mean"))
                parts.append(padded[ids])
        self.inputs = {column.name: part for column, part in zip(columns, parts, strict=True)}
        self.matrix = torch.from_numpy(np.concatenate(parts, axis=1)).float()
        penalties = {"l2_reg_embedding": 0, **({} if family == "autoint" else {"l2_reg_linear": 0})}
        penalties |= {"dcn": {"l2_reg_cross": 0}, "afm": {"l2_reg_att": 0}, "xdeepfm": {"l2_reg_cin": 0}}.get(
            family, {}
        )
        self.model = make(columns, columns, task="regression", **penalties)

    def take(self, family: str, model: FieldModel) -> None:
        """Gives the library's model the weights of ours."""
        ours, theirs = model.state_dict(), self.model.state_dict()
        theirs["out.bias"] = ours["bias"][None]
        first = 0
        for _, field in self.fields:
            rows, name = slice(first, first + len(field.values)), field.name.replace(".", "_")
            for table, kept in (("embedding", "embedding_dict"), ("first_order", "linear_model.embedding_dict")):
                weights = ours[f"{table}.weight"][rows]
                fill = weights.new_zeros(0 if field.single else 1, weights.shape[1])
                theirs[f"{kept}.{name}.weight"] = torch.cat([fill, weights])
            first = rows.stop
        theirs |= {f"dnn.linears.{name.removeprefix('network.linear.')}": value for name, value in ours.items()
                   if name.startswith("network.linear.")}  # fmt: skip
        theirs |= LAYERS[family](ours)
        self.model.load_state_dict(theirs)

    def __call__(self, rows: slice) -> Tensor:
        """Ratings of the training pairs at these rows, [b]."""
        return self.model(self.matrix[rows])[:, 0]


def padded_places(field: FieldValues) -> np.ndarray:
    """The places of every entity, [n, most], filled up by -1."""
    counts = np.diff(field.start)
    padded = np.full((len(counts), counts.max()), -1)
    padded[np.arange(counts.max()) < counts[:, None]] = field.places
    return padded


def _attention(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    names = ("W_Query", "W_key", "W_Value", "W_Res")
    layers = [name for name in ours if name.startswith("attention.")]
    return {
        f"int_layers.{number}.{name}": part
        for number, layer in enumerate(layers)
        for name, part in zip(names, ours[layer].split(DIM, dim=1), strict=True)
    } | _output(ours)


def _crosses(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    kernels = [value for name, value in ours.items() if name.startswith("crosses.weights.")]
    return {
        "crossnet.kernels": torch.stack(kernels)[:, :, None],
        "crossnet.bias": ours["crosses.biases"][:, :, None],
        **_output(ours),
    }


def _compressed(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    own = {name.removeprefix("cin.layers."): value for name, value in ours.items() if name.startswith("cin.layers.")}
    convolutions = {
        f"cin.conv1ds.{name}": value[:, :, None] if "weight" in name else value for name, value in own.items()
    }
    last = len(ours[f"network.linear.{sum('network.linear' in name for name in ours) // 2 - 1}.bias"])
    cin, dnn = ours["output.weight"].split([len(ours["output.weight"]) - last, last])
    return {**convolutions, "cin_linear.weight": cin[None], "dnn_linear.weight": dnn[None]}


def _weighed(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        "fm.attention_W": ours["hidden.weight"].T,
        "fm.attention_b": ours["hidden.bias"],
        "fm.projection_h": ours["attention.weight"][:, None],
        "fm.projection_p": ours["output.weight"][:, None],
    }


def _output(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {"dnn_linear.weight": ours["output.weight"][None]}


LAYERS: dict[str, Callable[[Mapping[str, Tensor]], dict[str, Tensor]]] = {
    "deepfm": _output,
    "nfm": _output,
    "dcn": _crosses,
    "afm": _weighed,
    "xdeepfm": _compressed,
    "autoint": _attention,
}


def difference(dataset: Dataset, family: str) -> float:
    """The largest difference of a rating, relative to the ratings' spread, where both models have the same weights."""
    model, theirs = ours(dataset, family).eval(), Theirs(dataset, family)
    theirs.take(family, model)
    theirs.model.eval()
    with torch.no_grad():
        rows = slice(0, min(len(dataset.train), 4 * BATCH))
        own, other = model.rate(torch.from_numpy(dataset.train[rows])), theirs(rows)
    return float((own - other).abs().max() / own.std())


def epochs(dataset: Dataset, family: str) -> dict[str, Callable[[], object]]:
    """An epoch of both."""
    model, theirs = ours(dataset, family).train(), Theirs(dataset, family)
    assert dataset.train_ratings is not None
    ratings = dataset.train_ratings
    drawn = RatingBatches(dataset.train, ratings, batch_size=BATCH, generator=torch.Generator().manual_seed(0))
    step = _stepping(model)
    theirs.model.compile("adam", "mse")

    def fit() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            theirs.model.fit(dict(theirs.inputs), ratings, batch_size=BATCH, epochs=1, verbose=0)

    def epoch() -> None:
        for batch in drawn.epoch():
            step(batch)

    return {"ours": epoch, "theirs": fit}


def steps(dataset: Dataset, family: str) -> dict[str, Callable[[], object]]:
    """`STEPS` steps of both on a batch that is there."""
    model, theirs = ours(dataset, family).train(), Theirs(dataset, family)
    assert dataset.train_ratings is not None
    ratings = torch.from_numpy(dataset.train_ratings[:BATCH])
    batch, step = RatedPairs(torch.from_numpy(dataset.train[:BATCH]), ratings), _stepping(model)
    theirs.model.train()
    optimiser = torch.optim.Adam(theirs.model.parameters(), lr=LR)

    def own_steps() -> None:
        for _ in range(STEPS):
            step(batch)

    def their_steps() -> None:
        for _ in range(STEPS):
            optimiser.zero_grad()
            torch.nn.functional.mse_loss(theirs(slice(0, BATCH)), ratings).backward()
            optimiser.step()

    return {"ours": own_steps, "theirs": their_steps}


def _stepping(model: FieldModel) -> Callable[[RatedPairs], None]:
    """A step as `recsys.training.optimise` makes it."""
    optimiser = torch.optim.Adam(model.parameters(), lr=LR, fused=True)

    def step(batch: RatedPairs) -> None:
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(model.loss(batch).values())).sum().backward()
        optimiser.step()

    return step


def measure(dataset: Dataset, families: Sequence[str], rounds: int) -> list[Result]:
    """How far each model is from the library's, and how much faster."""
    if find_spec(LIBRARY) is None:
        missing = f"{LIBRARY} is not installed"
        return [Result.unjudged(f"{family}: compared with DeepCTR-Torch", None, "-", missing) for family in families]
    results: list[Result] = []
    with one_thread(), torch.random.fork_rng(devices=[]):
        for family in families:
            found = difference(dataset, family)
            results.append(Result.at_most(f"{family}: ratings", found, LARGEST_DIFFERENCE, "relative"))
            best_cpu_seconds(steps(dataset, family), 1)  # not counted: what only the first steps do
            results += _faster(f"{family}, {STEPS} steps", steps(dataset, family), rounds)
            results += _faster(f"{family}, epoch", epochs(dataset, family), rounds)
    return results


def _faster(name: str, alternatives: dict[str, Callable[[], object]], rounds: int) -> list[Result]:
    best = best_cpu_seconds(alternatives, rounds)
    own = [Result.unjudged(f"{name}: {who}", 1e3 * seconds, "CPU-ms", "one thread") for who, seconds in best.items()]
    return [*own, Result.at_least(f"{name}: faster", best["theirs"] / best["ours"], FASTER, "x")]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.rating_models", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="epochs of which the best counts")
    parser.add_argument("--ratings", type=int, default=RATINGS, metavar="N", help="in training")
    parser.add_argument("--model", action="append", default=[], choices=MODELS, help="may be repeated; default all")
    add_json_option(parser)
    given = parser.parse_args(arguments)
    results = measure(data(n_ratings=given.ratings), given.model or list(MODELS), given.rounds)
    return report(f"Models of ratings, {given.ratings:,} ratings", results, given.json)


if __name__ == "__main__":
    run(main)
