"""From a run's files to what one variant's model is given: the augmentation, or one of its controls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from embed.matrices import read_field
from pipeline.edges import read_edges
from recsys.augmentation import Edges, FeatureMatrix, SideInformation

if TYPE_CHECKING:
    from pipeline.config import Variant
    from recsys.data.dataset import Dataset

PROFILE = "user_profile"
OWN_TEXT = "text"
DATA_GROUP = "data"
FEATURES_GROUP = "features"


def side_files(run: Path, variant: Variant) -> list[Path]:
    """The files that `side_information` reads for a variant; their hashes belong to its identity."""
    files = [*_matrices(run, DATA_GROUP), *_matrices(run, FEATURES_GROUP)]
    if variant.source is None:
        return files
    files += _matrices(run, variant.source)
    return [*files, _edge_records(run, variant.source)] if variant.edges != "none" else files


def side_information(run: Path, variant: Variant, dataset: Dataset, seed: int) -> SideInformation:
    """Features and edges for one training of a variant.

    Controls draw from `seed`, so that every training seed meets another shuffle and the spread over seeds includes it.

    Args:
        run: the run folder.
        variant: which source, and what of it is kept, removed or replaced by a control.
        dataset: the prepared data set.
        seed: the training seed.
    """
    own = {path.stem: _matrix(path) for path in _matrices(run, DATA_GROUP)}
    given = {path.stem: _matrix(path) for path in _matrices(run, FEATURES_GROUP)}
    side = SideInformation(
        item={name: matrix for name, matrix in own.items() if name == OWN_TEXT} | given,
        attributes={name: matrix for name, matrix in own.items() if name != OWN_TEXT},
    )
    if variant.source is None:
        return side
    written = {path.stem: path for path in _matrices(run, variant.source)}
    rng = np.random.default_rng([seed, 0x51DE])
    if variant.edges != "none":
        edges = read_edges(_edge_records(run, variant.source), variant)
        side = replace(side, edges=_random_edges(edges, dataset, rng) if variant.edges == "random" else edges)
    if variant.profiles != "none" and PROFILE in written:
        side = replace(side, user={"profile": _profiles(_matrix(written[PROFILE]), variant.profiles, rng)})
    if variant.attributes != "none":
        attributes = {name: _matrix(path) for name, path in written.items() if name != PROFILE}
        if variant.attributes == "shuffled":
            attributes = {name: _shuffled(matrix, rng) for name, matrix in attributes.items()}
        side = replace(side, attributes={**side.attributes, **_informative(attributes)})
    return side


def _matrices(run: Path, group: str) -> list[Path]:
    return sorted((run / "embed" / group).glob("*.npy"))


def _matrix(path: Path) -> FeatureMatrix:
    values, about = read_field(path.parent / path.stem)
    return FeatureMatrix.from_dense(values, missing=about["missing"])


def _informative(attributes: dict[str, FeatureMatrix]) -> dict[str, FeatureMatrix]:
    """Leaves out attributes that are missing for every item (the heuristic source knows no directors)."""
    return {name: matrix for name, matrix in attributes.items() if matrix.mask.any()}


def _edge_records(run: Path, source: str) -> Path:
    return run / "augment" / source / "edges" / "records.parquet"


def _random_edges(edges: Edges, dataset: Dataset, rng: np.random.Generator) -> Edges:
    """The same users, each with two different items drawn uniformly from those not in its training interactions."""
    drawn = np.empty((len(edges), 2), dtype=np.int64)
    starts = dataset.starts("train")
    for row, user in enumerate(edges.user):
        unseen = np.setdiff1d(np.arange(dataset.n_items), dataset.train[starts[user] : starts[user + 1], 1])
        drawn[row] = rng.choice(unseen, size=2, replace=False)
    return Edges(edges.user, drawn[:, 0], drawn[:, 1], edges.weight)


def _profiles(matrix: FeatureMatrix, kind: str, rng: np.random.Generator) -> FeatureMatrix:
    if kind == "shuffled":
        return _shuffled(matrix, rng)
    if kind == "as-is":
        return matrix
    present = matrix.dense()[matrix.mask]
    length = np.linalg.norm(present, axis=1).mean() if len(present) else 1.0
    if kind == "random":
        dense = rng.standard_normal((matrix.rows, matrix.dim))
        dense *= length / np.linalg.norm(dense, axis=1, keepdims=True)
    else:
        dense = np.tile(present.mean(axis=0), (matrix.rows, 1))
    return FeatureMatrix.from_dense(dense, missing=np.flatnonzero(~matrix.mask))


def _shuffled(matrix: FeatureMatrix, rng: np.random.Generator) -> FeatureMatrix:
    """Vectors permuted among the rows that have one: the same vectors, belonging to somebody else."""
    present = np.flatnonzero(matrix.mask)
    index = matrix.index.copy()
    index[present] = matrix.index[rng.permutation(present)]
    return FeatureMatrix(matrix.values, index, matrix.mask)
