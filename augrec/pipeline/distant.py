"""`augrec distant RUN`: whether models hold users near who are far apart in the graph and have similar texts.

What is measured is in `augrec.report.measures.distant_users`; here the run's models are read back and asked for their
embeddings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from rich.console import Console

from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.names import did_you_mean
from augrec.pipeline.config.run_config import Config, Variant
from augrec.pipeline.host.terminal import OpenTable
from augrec.pipeline.side.side_information import side_information
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.saved_run import run_at_home
from augrec.pipeline.stages.train import finished_trainings
from augrec.pipeline.training.variant_training import Training, side_of
from augrec.report.measures.distant_users import Nearness, distant_pairs, nearness, places
from augrec.report.render.wording import signed
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.data.dataset import Dataset
from recsys.training.restore import restore


@dataclass(frozen=True)
class Distant:
    """What was measured over a run."""

    hops: int
    text: str
    """The source whose texts say who is alike, and their name among its features of users."""
    far: float
    """The mean number of far users."""
    baseline: str
    variants: tuple[Nearness, ...]
    passed_over: tuple[str, ...]
    """Variants without embeddings of users, or of which no model was kept, and why."""


def measure(
    folder: Path, *, hops: int = 3, near: int = 5, sample: int = 1000, seed: int = 0, source: str | None = None
) -> Distant:
    """See `augrec.report.measures.distant_users`; the mean over each variant's seeds.

    Args:
        folder: of a run whose trainings kept their models.
        hops, near, sample: see `distant_pairs`.
        seed: of the draws.
        source: whose texts of users say who is alike; the first that has any, unless given.

    Raises:
        UsageError: there are no texts of users, or the hops are even.
        DataError: nobody is far and alike.
    """
    if hops < 1 or hops % 2 == 0:
        raise UsageError(f"users are even numbers of hops apart; {hops} is none between two of them", where="--hops",
                         remedy="take 3 or 5")  # fmt: skip
    with run_at_home(folder) as run:
        finished = finished_trainings(run)
        dataset = Dataset.load(run.files.dataset)
        name, feature, texts = _texts(run, dataset, source)
        rng = np.random.default_rng([seed, 0xD157])
        pairs = distant_pairs(
            dataset.train, dataset.n_users, dataset.n_items, texts.dense(), texts.mask,
            hops=hops, near=near, sample=sample, rng=rng,
        )  # fmt: skip
        found: dict[str, list[np.ndarray]] = {}
        passed_over: dict[str, str] = {}
        for variant, trainings in groupby(finished, key=lambda training: training.variant):
            try:
                found[variant] = [places(users, pairs) for users in _user_embeddings(trainings, dataset)]
            except AugrecError as error:
                passed_over[variant] = error.what
        if not found and not passed_over:
            raise UsageError(
                "no training of this run has finished with its config and this version of the program",
                where=run.folder,
                remedy="run its config, with training.keep_checkpoint on",
            )
        means = {variant: np.mean(each, axis=0) for variant, each in found.items()}
        baseline = run.config.report.baseline
        variants = [
            nearness(variant, len(found[variant]), mean, _other(means, baseline, variant), rng)
            for variant, mean in means.items()
        ]
        far = float(pairs.far.sum(axis=1).mean())
    listed = tuple(f"{variant}: {why}" for variant, why in passed_over.items())
    return Distant(hops, f"{name}/{feature}", far, baseline, tuple(variants), listed)


def render(distant: Distant, console: Console) -> None:
    """Prints a row for each variant, and what the numbers are."""
    rows = []
    for row in distant.variants:
        over = f"{signed(row.near - row.drawn, 2)} ({signed(row.low, 2)} to {signed(row.high, 2)})"
        above = "-"
        if row.above is not None:
            above = f"{signed(row.above, 2)} ({signed(row.above_low, 2)} to {signed(row.above_high, 2)})"
        rows.append((row.variant, row.seeds, f"{row.near:.2f}", f"{row.drawn:.2f}", over, above))
    numbers = ("seeds", "near", "drawn", "near - drawn", "above the baseline")
    console.print(OpenTable({"variant": "name", **dict.fromkeys(numbers, "number")}, rows))
    users = distant.variants[0].users if distant.variants else 0
    console.print(
        f"Of a hundred users more than {distant.hops} hops away, so many does a model hold further away than those "
        f"whose texts ({distant.text}) are most alike, and than as many that were drawn; by chance 50. {users:,} "
        f"users, {distant.far:,.0f} far ones each; 95 % bootstrap intervals over users. Baseline: {distant.baseline}.",
        markup=False,
        highlight=False,
        style="dim",
    )
    for line in distant.passed_over:
        console.print(f"passed over: {line}", markup=False, highlight=False, style="dim")


def _other(means: dict[str, np.ndarray], baseline: str, variant: str) -> np.ndarray | None:
    return None if variant == baseline else means.get(baseline)


def _texts(run: Run, dataset: Dataset, source: str | None) -> tuple[str, str, FeatureMatrix]:
    """The source, the name and the vectors of the texts that say who is alike."""
    config: Config = run.config
    sources = list(config.generation.sources) if config.generation else []
    if source is not None and source not in sources:
        raise UsageError(
            f"the run has no source '{source}'", where="--source", remedy=did_you_mean(source, sources) or None
        )
    names: Sequence[str] = sources if source is None else [source]
    for name in names:
        variant = Variant(model=next(iter(config.models)), source=name)
        features = side_information(run.folder, variant, dataset, seed=0).user
        for feature, matrix in features.items():
            return name, feature, matrix
    raise UsageError(
        "no source of this run wrote texts about users, by which they could be alike",
        where=run.folder,
        remedy="give generation.sources one with a task of texts about users, e.g. user_profile",
    )


def _user_embeddings(trainings: Iterable[Training], dataset: Dataset) -> Iterator[np.ndarray]:
    """float32 [n_users, d], as the model scores with, of each training of one variant.

    What the seeds are given alike is made once: vectors of interactions are minutes of work on large data.
    """
    side: SideInformation | None = None
    for training in trainings:
        if side is None or side.drawn:
            side = side_of(training, dataset)
        options = training.config.models[training.config.variants[training.variant].model]
        users: np.ndarray = restore(training.out, dataset, options, side).embeddings()[0].numpy()
        yield users
