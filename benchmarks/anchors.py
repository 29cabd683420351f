"""Do our models and our evaluation give the figures that others got on the same splits?

    python -m benchmarks.anchors AMAZON_DIR [--only NAME ...] [--cache DIR] [--json FILE]

AMAZON_DIR has the layout of RLMRec's release of Amazon-book; ML-100K comes with the package recbole. Everything goes
the way of a run: the same readers, training, selection on validation and evaluation; training items are masked and
validation items are not. The cache DIR (runs/anchors) keeps the vectors of the published item texts, which take ten
minutes to embed on a CPU core, for as long as the hashes of the texts and of the model are the same. Trainings are made
anew each time; their logs lie beside.

A reference figure is somebody else's, so a band is not to be widened: a figure outside of it is reported as it is.
Exit status: 0 all within their bands, 1 not, 2 wrong usage.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import sha256_file, write_json
from augrec.artefacts.matrices import read_field
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.weights.resolve import resolve, resolve_path
from benchmarks.result import Result, add_json_option, run
from embed.encoder import SentenceEncoder
from embed.matrices import embed_field
from embed.options import EmbeddingOptions
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.data.dataset import Dataset
from recsys.data.options import DatasetOptions
from recsys.data.prepare import prepare
from recsys.data.readers.registry import read
from recsys.data.released.rlmrec import RlmrecRelease, read_rlmrec
from recsys.models.registry import FAMILIES
from recsys.options import EvaluationOptions, TrainingOptions
from recsys.training.train import train

EVALUATION = EvaluationOptions(cutoffs=(20,), mask_valid_at_test=False)
RECALL, NDCG = "recall@20", "ndcg@20"
ML_100K = DatasetOptions.model_validate(
    {
        "name": "MovieLens-100K",
        "source": {"format": "recbole", "path": "pkg:recbole/recbole/dataset_example/ml-100k"},
        "min_rating": 4,
        "k_core": 5,
        "split": {"kind": "temporal", "ratios": [8, 1, 1]},
    }
)
SEEDS = (1, 2, 3, 4, 5)
# The reference: batch 4096, lr 1e-3, validated every third epoch, stopped after five without a gain, lambda 1e-6 times
# the squares of all parameters, and the sum of the four layers where LightGCN has their mean. A sum is a mean of
# embeddings four times as large: the same steps are those of lr 4e-3, and the same penalty, a weight decay of 2e-6, is
# 2e-6 / 16. It also drops a fifth of the edges in each step, which we do not; ours is the higher one.
AMAZON_TRAINING = {
    "epochs": 1000,
    "batch_size": 4096,
    "lr": 4e-3,
    "weight_decay": 2e-6 / 16,
    "evaluate_every": 3,
    "patience": 5,
}
# The reference's text, word for word; its "at most 60 epochs" is read as no early stop within them. Ours lies above its
# LightGCN. Unshuffled passes over the interactions, negatives that may be training items, the same negatives in every
# epoch, or ten epochs less: each alone gives .146 to .148. The text names none of them, so nor do these settings.
ML_TRAINING = {"epochs": 60, "batch_size": 2048, "lr": 2e-3, "patience": 60}
ML_PENALTY = {"l2": 1e-4, "l2_kind": "norm"}


@dataclass(frozen=True)
class Anchor:
    """A model with its settings, and what it got elsewhere.

    Attributes:
        data: "amazon-book" or "ml-100k".
        model: family and options.
        reference: the figures by metric.
        band: how far off ours may be; None where the reference is too vague to judge by.
        seeds: of the trainings whose mean is compared.
        training: options of a trained model.
        text: whether it reads the published item texts.
    """

    name: str
    data: str
    model: Mapping[str, Any]
    reference: Mapping[str, float]
    band: float | None
    seeds: tuple[int, ...] = (1,)
    training: Mapping[str, Any] | None = None
    text: bool = False


def _amazon(name: str, recall: float, ndcg: float, band: float, model: Mapping[str, Any], **more: Any) -> Anchor:
    return Anchor(f"amazon-book {name}", "amazon-book", model, {RECALL: recall, NDCG: ndcg}, band, **more)


ANCHORS = (
    _amazon("popularity", 0.0318, 0.0182, 0.0005, {"family": "popularity"}),
    _amazon("item-knn", 0.1459, 0.1001, 0.0005, {"family": "item_knn"}),
    _amazon("rp3beta", 0.1450, 0.0951, 0.0005, {"family": "rp3beta", "alpha": 1.0, "beta": 0.3}),
    _amazon("ease", 0.1692, 0.1192, 0.0005, {"family": "ease", "l2": 50}),
    _amazon("ease-text", 0.1809, 0.1272, 0.001, {"family": "ease_text", "l2": 100, "alpha": 50}, text=True),
    _amazon(
        "lightgcn",
        0.1490,
        0.0926,
        0.003,
        {"family": "lightgcn", "dim": 64, "layers": 3, "l2": 0},
        training=AMAZON_TRAINING,
    ),
    Anchor("ml-100k popularity", "ml-100k", {"family": "popularity"}, {RECALL: 0.0989}, 0.0005),
    Anchor("ml-100k mf-bpr", "ml-100k", {"family": "mf_bpr", **ML_PENALTY}, {RECALL: 0.168}, None, SEEDS, ML_TRAINING),
    Anchor(
        "ml-100k lightgcn",
        "ml-100k",
        {"family": "lightgcn", "layers": 2, **ML_PENALTY},
        {RECALL: 0.1477, NDCG: 0.0866},
        0.004,
        SEEDS,
        ML_TRAINING,
    ),
)


@dataclass(frozen=True)
class Comparison:
    """One figure beside its reference."""

    name: str
    metric: str
    ours: float
    spread: float | None
    """Standard deviation over the seeds; None for one seed."""
    reference: float
    band: float | None

    @property
    def difference(self) -> float:
        """Ours less the reference."""
        return self.ours - self.reference

    def result(self) -> Result:
        """As every benchmark reports it."""
        name = f"{self.name} {self.metric}"
        if self.band is None:
            return Result.unjudged(name, self.ours, "", f"about {self.reference:g}")
        target = f"{self.reference:g} +- {self.band:g}"
        return Result(name, self.ours, "", target, abs(self.difference) <= self.band)


class Data:
    """The two data sets, read when they are first asked for."""

    def __init__(self, amazon: Path, cache: Path) -> None:
        self.folder, self.cache = amazon, cache

    def dataset(self, name: str) -> Dataset:
        """By its name."""
        return self.amazon.dataset if name == "amazon-book" else self.ml_100k

    @cached_property
    def amazon(self) -> RlmrecRelease:
        """As it was released."""
        return read_rlmrec(self.folder)

    @cached_property
    def ml_100k(self) -> Dataset:
        """The split by time within each user of ratings from 4 on, 5-core."""
        folder = RunFolder(self.cache / "ml-100k").dataset
        prepare(read(ML_100K, resolve_path(ML_100K.source.path)), ML_100K, folder, seed=0)
        return Dataset.load(folder)

    @cached_property
    def texts(self) -> SideInformation:
        """The vectors of the published item texts."""
        options = EmbeddingOptions(device="cpu")
        model = resolve(options.model)
        out = self.cache / "amazon-book" / "item_profile"
        source = sha256_file(self.amazon.files["itm_prf.pkl"])
        about = embed_field(
            SentenceEncoder(options, model.path, model.sha256), self.amazon.item_texts, out, source_sha256=source
        )
        vectors = read_field(out)[0]
        return SideInformation(item={"text": FeatureMatrix.from_dense(vectors, missing=about["missing"])})


def compare(anchor: Anchor, data: Data) -> list[Comparison]:
    """Trains with every seed, and sets the mean of each metric beside its reference."""
    options = FAMILIES.find(anchor.model["family"]).options.model_validate(anchor.model)
    training = TrainingOptions.model_validate(
        {"device": "cpu", "keep_checkpoint": False, "resume_minutes": None, **(anchor.training or {})}
    )
    side = data.texts if anchor.text else SideInformation()
    found = []
    for seed in anchor.seeds:
        out = RunFolder(data.cache).training(anchor.name.replace(" ", "/"), seed).root
        dataset = data.dataset(anchor.data)
        metrics = train(dataset, options, side, training, EVALUATION, seed, out, anchor.name, "anchor")
        found.append(metrics["test"])
    values = {metric: np.array([one[metric] for one in found]) for metric in anchor.reference}
    return [
        Comparison(
            anchor.name,
            metric,
            float(of_seeds.mean()),
            float(of_seeds.std(ddof=1)) if len(of_seeds) > 1 else None,
            anchor.reference[metric],
            anchor.band,
        )
        for metric, of_seeds in values.items()
    ]


def show(comparisons: Sequence[Comparison], console: Console) -> None:
    """Prints the table."""
    table = Table(title="Anchors: our figures beside those of others", title_justify="left")
    for name in ("model", "metric"):
        table.add_column(name)
    for name in ("ours", "sd of seeds", "reference", "difference", "band"):
        table.add_column(name, justify="right")
    table.add_column("ok")
    for one in comparisons:
        mark = {True: "yes", False: "[bold red]NO[/]", None: "-"}[one.result().ok]
        spread = "" if one.spread is None else f"{one.spread:.4f}"
        band = "about" if one.band is None else f"{one.band:.4f}"
        figures = (f"{one.ours:.4f}", spread, f"{one.reference:.4f}", f"{one.difference:+.4f}", band)
        table.add_row(one.name, one.metric, *figures, mark)
    console.print(table)


def _chosen(names: Sequence[str] | None) -> list[Anchor]:
    known = {anchor.name: anchor for anchor in ANCHORS}
    for name in names or ():
        if name not in known:
            raise UsageError(f"there is no anchor '{name}'", remedy=f"known: {', '.join(known)}")
    return list(ANCHORS) if not names else [known[name] for name in names]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.anchors", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("amazon", type=Path, metavar="AMAZON_DIR", help="folder of RLMRec's release of Amazon-book")
    parser.add_argument("--only", nargs="+", metavar="NAME", help='these anchors alone, e.g. "amazon-book ease"')
    parser.add_argument("--cache", type=Path, default=Path("runs/anchors"), metavar="DIR", help="for vectors and logs")
    add_json_option(parser)
    given = parser.parse_args(arguments)
    console = Console(width=120)
    data = Data(given.amazon, given.cache)
    comparisons: list[Comparison] = []
    for anchor in _chosen(given.only):
        console.print(f"{anchor.name} ...", highlight=False)
        comparisons += compare(anchor, data)
    show(comparisons, console)
    if given.json is not None:
        write_json(
            given.json,
            [{**asdict(one.result()), "reference": one.reference, "difference": one.difference} for one in comparisons],
        )
    return int(any(one.result().ok is False for one in comparisons))


if __name__ == "__main__":
    run(main)
