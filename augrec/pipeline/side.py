"""From a run's files to what one variant's model is given: the augmentation, or one of its controls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from augrec.artefacts.matrices import read_field
from augrec.artefacts.named import group_matrices
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.controls import PARTS, is_drawn
from augrec.pipeline.draws import (
    profiles_without_content,
    random_candidate_edges,
    random_edges,
    shuffled,
    shuffled_edges,
)
from augrec.pipeline.edges import read_edges, read_shown_candidates
from recsys.augmentation import Edges, FeatureMatrix, SideInformation

if TYPE_CHECKING:
    from augrec.pipeline.config import Variant
    from recsys.data.dataset import Dataset

PROFILE = "user_profile"
OWN_TEXT = "text"
DATA_GROUP = "data"
FEATURES_GROUP = "features"


def side_files(run: Path, variant: Variant) -> list[Path]:
    """The files that `side_information` reads for a variant; their hashes belong to its identity."""
    files = [*group_matrices(run, DATA_GROUP), *group_matrices(run, FEATURES_GROUP)]
    if variant.source is None:
        return files
    files += group_matrices(run, variant.source)
    return [*files, _edge_records(run, variant.source)] if variant.edges != "none" else files


def side_information(run: Path, variant: Variant, dataset: Dataset, seed: int) -> SideInformation:
    """Features and edges for one training of a variant.

    Controls draw from `seed`, so that every training seed meets another shuffle and the spread over seeds includes it.
    Each part has a stream of its own: its draw does not depend on how the others are treated.

    Args:
        run: the run folder.
        variant: which source, and what of it is kept, removed or replaced by a control.
        dataset: the prepared data set.
        seed: the training seed.
    """
    own = {path.stem: _matrix(path) for path in group_matrices(run, DATA_GROUP)}
    given = {path.stem: _matrix(path) for path in group_matrices(run, FEATURES_GROUP)}
    side = SideInformation(
        item={name: matrix for name, matrix in own.items() if name == OWN_TEXT} | given,
        attributes={name: matrix for name, matrix in own.items() if name != OWN_TEXT},
    )
    if variant.source is None:
        return side
    written = {path.stem: path for path in group_matrices(run, variant.source)}
    streams = {part: np.random.default_rng([seed, 0x51DE, place]) for place, part in enumerate(PARTS)}
    if variant.edges != "none":
        side = replace(side, edges=_edges(_edge_records(run, variant.source), variant, dataset, streams["edges"]))
    if variant.profiles != "none" and PROFILE in written:
        profiles = _profiles(_matrix(written[PROFILE]), variant.profiles, streams["profiles"])
        side = replace(side, user={"profile": profiles})
    if variant.attributes != "none":
        attributes = _informative({name: _matrix(path) for name, path in written.items() if name != PROFILE})
        if variant.attributes == "shuffled":
            attributes = shuffled(attributes, streams["attributes"])
        side = replace(side, attributes={**side.attributes, **attributes})
    return replace(side, drawn=is_drawn(variant.model_dump()))


def _edges(records: Path, variant: Variant, dataset: Dataset, rng: np.random.Generator) -> Edges:
    """A source's edges, or one of their controls."""
    edges = read_edges(records, variant)
    if variant.edges == "random":
        return random_edges(edges, dataset, rng)
    if variant.edges == "random-candidates":
        return random_candidate_edges(edges, read_shown_candidates(records), rng)
    return shuffled_edges(edges, dataset, rng) if variant.edges == "shuffled" else edges


def _profiles(matrix: FeatureMatrix, kind: str, rng: np.random.Generator) -> FeatureMatrix:
    """A source's profiles, or one of their controls."""
    if kind == "as-is":
        return matrix
    return (
        shuffled({PROFILE: matrix}, rng)[PROFILE] if kind == "shuffled" else profiles_without_content(matrix, kind, rng)
    )


def _matrix(path: Path) -> FeatureMatrix:
    values, about = read_field(path.parent / path.stem)
    return FeatureMatrix.from_dense(values, missing=about["missing"])


def _informative(attributes: dict[str, FeatureMatrix]) -> dict[str, FeatureMatrix]:
    """Leaves out attributes that are missing for every item (the heuristic source knows no directors)."""
    return {name: matrix for name, matrix in attributes.items() if matrix.mask.any()}


def _edge_records(run: Path, source: str) -> Path:
    return RunFolder(run).source(source).task("edges").records
