"""From a run's files to what one variant's model is given: the augmentation, or one of its controls.

What becomes of a task's answers follows from what its card says that they are, not from its name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from augrec.artefacts import tasks as kinds
from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.matrices import read_field
from augrec.artefacts.named import group_matrices, named_records
from augrec.artefacts.source_folder import TaskFolder
from augrec.artefacts.tasks import About, TaskCard, read_card
from augrec.artefacts.treatments import AS_IS, INTERACTIONS, NONE, SHUFFLED, allowed, is_drawn, treatment
from augrec.pipeline.side.asked_users import asked_users, edges_of, insertions_of, vectors_of
from augrec.pipeline.side.attribute_nodes import NodeTable, told_alike
from augrec.pipeline.side.draws import (
    exchanged,
    moved,
    random_candidate_edges,
    random_edges,
    shuffled,
    shuffled_edges,
    without_content,
)
from augrec.pipeline.side.edges import WrittenEdges, read_edges
from augrec.pipeline.side.insertions import placed, read_picks
from augrec.pipeline.side.interaction_vectors import InteractionVectors
from recsys.augmentation import Edges, FeatureMatrix, Insertions, SideInformation

if TYPE_CHECKING:
    from augrec.pipeline.config.run_config import Variant
    from recsys.data.dataset import Dataset

Rows = TypeVar("Rows", Edges, Insertions)
OWN_TEXT = "text"
DATA_GROUP = "data"
FEATURES_GROUP = "features"
STREAMS = {"edges": 0, "user_profile": 1, "item_attributes": 2}
"""Numbers of the streams that the controls of these tasks are drawn from; others have one made of their name."""


def side_files(run: Path, variant: Variant) -> list[Path]:
    """The files that `side_information` reads for a variant; their hashes belong to its identity."""
    files = [*group_matrices(run, DATA_GROUP), *group_matrices(run, FEATURES_GROUP)]
    if variant.source is None:
        return files
    files += group_matrices(run, variant.source)
    for task, card in _given(run, variant):
        files.append(task.card)
        if isinstance(card.gives, kinds.Edges | kinds.Attributes | kinds.Insertions):
            files.append(task.records)
    return files


def side_information(run: Path, variant: Variant, dataset: Dataset, seed: int) -> SideInformation:
    """Features and edges for one training of a variant.

    Controls draw from `seed`, so that every training seed meets another shuffle and the spread over seeds includes it.
    Each task has a stream of its own: its draw does not depend on how the others are treated.

    Args:
        run: the run folder.
        variant: which source, and what of it is kept, removed or replaced by a control.
        dataset: the prepared data set.
        seed: the training seed.

    Raises:
        UsageError: answers of this kind cannot be treated so.
        DataError: two features have one name.
    """
    own = {path.stem: _matrix(path) for path in group_matrices(run, DATA_GROUP)}
    features = {path.stem: _matrix(path) for path in group_matrices(run, FEATURES_GROUP)}
    parts = _Parts(
        item={name: matrix for name, matrix in own.items() if name == OWN_TEXT} | features,
        attributes={name: matrix for name, matrix in own.items() if name != OWN_TEXT},
    )
    parts.nodes.add_own(dataset.items)
    if variant.source is not None:
        matrices = _matrices_by_task(run, variant.source)
        texts = _Texts(dataset)
        asked = None if variant.asked is None else asked_users(variant.asked, dataset)
        for task, card in _given(run, variant):
            rng, how = stream(seed, card.name), treatment(variant.model_dump(), card.name)
            if isinstance(card.gives, kinds.Edges):
                edges = _edges(read_edges(task.records, variant), how, dataset, rng)
                parts.edges.append(edges if asked is None else edges_of(edges, asked))
            elif isinstance(card.gives, kinds.Insertions):
                picks = _edges(read_picks(task.records), how, dataset, rng)
                places = placed(picks, dataset, stream(seed, f"{card.name} places"))
                parts.insertions.append(places if asked is None else insertions_of(places, asked))
            elif isinstance(card.gives, kinds.Text):
                told = texts.treated(matrices.get(card.name, {}), how, card.about, rng)
                if asked is not None and card.about == "user":
                    told = [vectors_of(matrix, asked) for matrix in told]
                parts.add_text(card, told)
            elif isinstance(card.gives, kinds.Attributes):
                if asked is not None and card.about == "user":
                    what = f"{card.name} gives attributes of users, which `asked` cannot leave out for some of them"
                    raise UsageError(what, remedy="leave `asked` out, or this task by change")
                parts.add_attributes(task, card, _informative(matrices.get(card.name, {})), rng, how, dataset)
    return parts.side(drawn=is_drawn(variant.model_dump()))


def stream(seed: int, task: str) -> np.random.Generator:
    """What the controls of a task are drawn from in the training with a seed."""
    place = STREAMS.get(task)
    if place is None:
        place = int.from_bytes(hashlib.sha256(task.encode()).digest()[:7], "big")
    return np.random.default_rng([seed, 0x51DE, place])


@dataclass
class _Parts:
    """`SideInformation` while it is put together."""

    item: dict[str, FeatureMatrix]
    attributes: dict[str, FeatureMatrix]
    user: dict[str, FeatureMatrix] = field(default_factory=dict)
    edges: list[Edges] = field(default_factory=list)
    insertions: list[Insertions] = field(default_factory=list)
    nodes: NodeTable = field(default_factory=NodeTable)

    def add_attributes(
        self,
        task: TaskFolder,
        card: TaskCard,
        matrices: dict[str, FeatureMatrix],
        rng: np.random.Generator,
        how: str,
        dataset: Dataset,
    ) -> None:
        """Attributes join as vectors, where they are an item's, and as nodes; both change owners together."""
        count = dataset.n_users if card.about == "user" else dataset.n_items
        source = None
        if how == SHUFFLED:
            told = matrices or {"nodes": told_alike(task.records, count)}
            source = exchanged(told, rng)
            matrices = moved(matrices, source)
        assert isinstance(card.gives, kinds.Attributes)
        self.nodes.add_written(task.records, card.about, count, source, of_shown=card.gives.of_shown)
        if card.about == "item":
            self.attributes |= matrices

    def add_text(self, card: TaskCard, matrices: Iterable[FeatureMatrix]) -> None:
        """A text joins the features of users or of items."""
        features, name = self.user if card.about == "user" else self.item, card.feature
        for matrix in matrices:
            if name in features:
                what = f"the texts of the task {card.name} would be the {card.about} features '{name}', which are there"
                raise DataError(what, remedy="call the features of the config, or the task, something else")
            features[name] = matrix

    def side(self, *, drawn: bool) -> SideInformation:
        edges, insertions = _joined(Edges, self.edges), _joined(Insertions, self.insertions)
        drawn = drawn or insertions is not None  # their places are drawn from the training seed
        return SideInformation(edges, self.user, self.item, self.attributes, self.nodes.nodes(), drawn, insertions)


def _joined(kind: type[Rows], parts: list[Rows]) -> Rows | None:
    """Edges or insertions of several tasks as one; None where there are none."""
    if len(parts) < 2:
        return parts[0] if parts else None
    return kind(*(np.concatenate([getattr(part, name) for part in parts]) for name in kind.__annotations__))


def _given(run: Path, variant: Variant) -> list[tuple[TaskFolder, TaskCard]]:
    """The tasks of a variant's source of which it receives something, in order of their names."""
    assert variant.source is not None
    found = []
    for task in (TaskFolder(path.parent) for path in named_records(run, variant.source)):
        how = treatment(variant.model_dump(), task.name)
        card = read_card(task.card)
        if how not in allowed(card.gives.kind):
            raise UsageError(
                f"change.{card.name}: {card.name} gives {card.gives.kind}, which cannot be {how}",
                remedy=f"one of {', '.join(allowed(card.gives.kind))}",
            )
        if how != NONE:
            found.append((task, card))
    there = {card.name for _, card in found}
    lacking = [task for task, how in variant.change.items() if how != NONE and task not in there]
    if lacking:
        raise UsageError(f"change.{lacking[0]}: the source {variant.source} has no answers to it", where=run)
    return found


def _matrices_by_task(run: Path, source: str) -> dict[str, dict[str, FeatureMatrix]]:
    found: dict[str, dict[str, FeatureMatrix]] = {}
    for path in group_matrices(run, source):
        _, about = read_field(path.parent / path.stem)
        found.setdefault(about.get("task") or "", {})[path.stem] = _matrix(path)
    return found


def _edges(written: WrittenEdges, how: str, dataset: Dataset, rng: np.random.Generator) -> Edges:
    """A task's edges, or one of their controls."""
    if how == "random":
        return random_edges(written.edges, dataset, rng)
    if how == "random-candidates":
        return random_candidate_edges(written.edges, written.record, written.shown, rng)
    return shuffled_edges(written.edges, dataset, rng) if how == SHUFFLED else written.edges


class _Texts:
    """The vectors of tasks that give a text, or one of their controls."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    def treated(
        self, matrices: dict[str, FeatureMatrix], how: str, about: About, rng: np.random.Generator
    ) -> Iterable[FeatureMatrix]:
        """Those of one task; nothing where it has none."""
        if how == AS_IS:
            return matrices.values()
        if how == SHUFFLED:
            return shuffled(matrices, rng).values()
        if how == INTERACTIONS:
            return [self._of_interactions.like(matrix, about) for matrix in matrices.values()]
        return [without_content(matrix, how, rng) for matrix in matrices.values()]

    @cached_property
    def _of_interactions(self) -> InteractionVectors:
        """Kept, for users and items have the same factors."""
        return InteractionVectors(self._dataset)


def _matrix(path: Path) -> FeatureMatrix:
    values, about = read_field(path.parent / path.stem)
    return FeatureMatrix.from_dense(values, missing=about["missing"])


def _informative(attributes: dict[str, FeatureMatrix]) -> dict[str, FeatureMatrix]:
    """Leaves out attributes that are missing for every item (the heuristic source knows no directors)."""
    return {name: matrix for name, matrix in attributes.items() if matrix.mask.any()}
