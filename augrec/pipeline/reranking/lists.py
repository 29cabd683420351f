"""What one training lists, as files that a language model's prompts are made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from augrec.artefacts.interactions import UserItems
from augrec.artefacts.metrics import Metric
from augrec.artefacts.ranked_lists import read_scored_lists, write_ranked_lists
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.training.trained_model import trained_model
from augrec.pipeline.training.variant_training import Training
from recsys.batches.base import Split
from recsys.data.dataset import Dataset
from recsys.device import device_named
from recsys.evaluation.judgement import judgement
from recsys.evaluation.lists import RankedLists, ranked_lists
from recsys.models.base import Recommender
from recsys.options import Judged

PAIRS_AT_ONCE = 1 << 16
RERANK_AGAIN = "run the stage `rerank` again, with --force"


def write_lists(training: Training, split: Split) -> None:
    """Writes what a finished training lists for every user with truth in a split, or how it rates the split's pairs."""
    config, files = training.config, RunFolder(training.run_folder)
    assert config.rerank is not None
    judged = config.models[config.variants[training.variant].model].judged
    dataset, device = Dataset.load(files.dataset, test=split == "test"), device_named(config.training.device)
    recommender = trained_model(training, dataset).to(device)
    if judged is Judged.RATING:
        lists, scores = _rated(recommender, dataset, split, device)
    else:
        longest = max(*cutoffs_of(training), config.rerank.list_size)
        context = judgement(dataset, split, judged, config.evaluation).context
        found = ranked_lists(
            recommender.scorer(context),
            dataset,
            split,
            longest,
            judged=judged,
            options=config.evaluation,
            device=device,
        )
        row, place = np.nonzero(found.items >= 0)
        lists = UserItems.build(found.users[row], found.items[row, place], dataset.n_users)
        scores = found.scores[row, place]
    path = files.reranking(training.variant, training.seed, split).lists
    path.parent.mkdir(parents=True, exist_ok=True)
    write_ranked_lists(path, lists, scores)


def cutoffs_of(training: Training) -> list[int]:
    """The k at which rows are judged: those of the training itself."""
    config = training.config
    model = config.models[config.variants[training.variant].model]
    monitor = Metric.parse(model.training_within(config.training).monitor)
    return sorted({*config.evaluation.cutoffs, *([monitor.k] if monitor.k else [])})


def read_lists(path: Path, dataset: Dataset) -> RankedLists:
    """`write_lists` read back; users without a list are left out."""
    lists, scores = read_scored_lists(path, dataset.n_users, dataset.n_items, remedy=RERANK_AGAIN)
    users = np.flatnonzero(lists.lengths)
    row = np.repeat(np.arange(len(users)), lists.lengths[users])
    place = np.arange(len(lists.items)) - np.repeat(lists.starts[users], lists.lengths[users])
    shape = len(users), int(lists.lengths.max(initial=0))
    items, values = np.full(shape, -1, dtype=np.int64), np.full(shape, -np.inf)
    items[row, place], values[row, place] = lists.items, scores
    return RankedLists(users, items, values)


def first_of(lists: RankedLists, size: int, n_users: int) -> tuple[UserItems, np.ndarray]:
    """The first items of every list, and float32 [m], their scores."""
    items, scores = lists.items[:, :size], lists.scores[:, :size]
    row, place = np.nonzero(items >= 0)
    shown = UserItems.build(lists.users[row], items[row, place], n_users)
    return shown, scores[row, place].astype(np.float32)


def _rated(
    recommender: Recommender, dataset: Dataset, split: Split, device: torch.device
) -> tuple[UserItems, np.ndarray]:
    """Every user's pairs of a split, the highest predicted rating first, and the predictions."""
    pairs = dataset.pairs(split)
    parts = [torch.from_numpy(part) for part in np.array_split(pairs, max(1, len(pairs) // PAIRS_AT_ONCE))]
    with torch.no_grad():
        rated = np.concatenate([recommender.rate(part.to(device)).double().cpu().numpy() for part in parts])
    order = np.lexsort((pairs[:, 1], -rated, pairs[:, 0]))
    return UserItems.build(pairs[order, 0], pairs[order, 1], dataset.n_users), rated[order]
