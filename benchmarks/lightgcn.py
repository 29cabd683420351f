"""How long does LightGCN take to its best validation recall, beside RecBole's structure and LensKit's LightGCN?

    python -m benchmarks.lightgcn [--json FILE] [--epochs N] [--seed N] [--against recbole|lenskit ...] [--at-most N]

Data, judge and stopping rule are those of `benchmarks.epoch`: MovieLens-100K, test recall@20 by our evaluator,
every five epochs a look at validation, an end after ten of them without a better one. Embeddings of 64, two layers,
batches of 2,048, one thread, CPU time of the epochs until the best one.

RecBole's code does not run on NumPy 2; its structure is written again here: one COO matrix over users and items, all
layers stacked and averaged, autograd through every product, negatives of a batch drawn until sets in Python know none
of them. Objective, penalty, start and learning rate are ours, so that time is what differs. LensKit's model is PyG's in
LensKit's own training loop, at LensKit's own learning rate and penalty; read there (2025.8.1): its edges lead from
users to items alone, and gradients are not set to zero between steps.

With `--at-most N` another's training ends once it has used N times our CPU time to the best epoch. Its best epoch is
then the best so far, and a better one could only come later: ours takes at most the ratio that is reported. Who learns
less is sooner at its best, so the time in which ours has the other's best recall on validation is reported beside it.
Exit status: 0 within targets, 1 not.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from augrec.artefacts.run_folder import RunFolder
from benchmarks.epoch import BATCH, DIM, L2, LAYERS, MISSING, Embeddings, Trained, movielens, ours, selected, shown
from benchmarks.result import Result, add_json_option, report, run
from benchmarks.timing import one_thread
from recsys.data.dataset import Dataset
from recsys.models.options.lightgcn import LightGcnOptions

LR, EVERY = 5e-3, 5
SLOWER, BELOW = 1.0, 0.002  # by so much recall moves between seeds
EPOCHS = 300


class Stacked(nn.Module):
    """LightGCN as RecBole arranges it.

    Args:
        dataset: whose training interactions are the graph.
        generator: draws the initial embeddings.
    """

    def __init__(self, dataset: Dataset, generator: torch.Generator) -> None:
        super().__init__()
        self.sizes = dataset.n_users, dataset.n_items
        self.embedding = nn.Parameter(torch.empty(sum(self.sizes), DIM))
        for part in self.embedding.detach().split(self.sizes):
            nn.init.xavier_uniform_(part, generator=generator)
        users, items = torch.from_numpy(dataset.train).unbind(1)
        ends = torch.stack([users, items + self.sizes[0]])
        both = torch.cat([ends, ends.flip(0)], dim=1)
        degree = torch.bincount(both[0], minlength=sum(self.sizes)) + 1e-7
        values = degree[both[0]].pow(-0.5) * degree[both[1]].pow(-0.5)
        self.adjacency = torch.sparse_coo_tensor(both, values, (sum(self.sizes),) * 2, check_invariants=False)

    def forward(self) -> Embeddings:
        """The final embeddings of users and items."""
        layers: list[Tensor] = [self.embedding]
        for _ in range(LAYERS):
            layers.append(torch.sparse.mm(self.adjacency, layers[-1]))
        users, items = torch.stack(layers, dim=1).mean(dim=1).split(self.sizes)
        return users, items

    def loss(self, user: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """BPR and the penalty on the batch's own rows, as in `recsys.models.lightgcn`."""
        users, items = self()
        difference = (users[user] * items[positive]).sum(dim=1) - (users[user] * items[negative]).sum(dim=1)
        start, items_start = self.embedding.split(self.sizes)
        squares = sum(rows.square().sum() for rows in (start[user], items_start[positive], items_start[negative]))
        return -torch.log(1e-10 + torch.sigmoid(difference)).mean() + L2 * squares / (2 * len(user))


def unowned(users: np.ndarray, owned: Sequence[set[int]], n_items: int, rng: np.random.Generator) -> np.ndarray:
    """int64 [b]: an item for each user, drawn again for those who have it."""
    drawn = np.empty(len(users), dtype=np.int64)
    left = np.arange(len(users))
    while len(left):
        drawn[left] = rng.integers(n_items, size=len(left))
        left = np.array([place for place in left if drawn[place] in owned[users[place]]], dtype=np.int64)
    return drawn


def recbole_structure(dataset: Dataset, epochs: int, seed: int, limit: float | None = None) -> Trained:
    """The published structure, trained as ours is, for at most `limit` CPU seconds."""
    model = Stacked(dataset, torch.Generator().manual_seed(seed))
    optimiser = torch.optim.Adam(model.parameters(), lr=LR)
    rng, pairs = np.random.default_rng(seed), dataset.train
    owned: list[set[int]] = [set() for _ in range(dataset.n_users)]
    for user, item in pairs.tolist():
        owned[user].add(item)

    def epoch() -> None:
        order = rng.permutation(len(pairs))
        for begin in range(0, len(order), BATCH):
            users, items = pairs[order[begin : begin + BATCH]].T
            negative = unowned(users, owned, dataset.n_items, rng)
            optimiser.zero_grad()
            model.loss(*(torch.from_numpy(np.ascontiguousarray(ids)) for ids in (users, items, negative))).backward()
            optimiser.step()

    def embeddings() -> Embeddings:
        with torch.no_grad():
            return model()

    return selected(dataset, _several(epoch), embeddings, max(1, epochs // EVERY), EVERY, limit)


def lenskit(dataset: Dataset, epochs: int, seed: int, limit: float | None = None) -> Trained:
    """LensKit's trainer, an epoch at a time, for at most `limit` CPU seconds."""
    import pandas as pd
    from lenskit.data import from_interactions_df
    from lenskit.graphs.lightgcn import LightGCNScorer
    from lenskit.training import TrainingOptions

    frame = pd.DataFrame(dataset.train, columns=["user_id", "item_id"])
    scorer = LightGCNScorer(embedding_size=DIM, layer_count=LAYERS, batch_size=BATCH)
    trainer = scorer.create_trainer(from_interactions_df(frame), TrainingOptions(device="cpu", rng=seed))
    users, items = (torch.from_numpy(numbers.ids().astype(np.int64)) for numbers in (scorer.users, scorer.items))

    def embeddings() -> Embeddings:
        """In the order of our ids; who is not in training has zeros."""
        with torch.no_grad():
            own_items, own_users = trainer.model.get_embedding(trainer.edges).split([len(items), len(users)])
        tables = torch.zeros(dataset.n_users, DIM), torch.zeros(dataset.n_items, DIM)
        tables[0][users], tables[1][items] = own_users, own_items
        return tables

    return selected(dataset, _several(trainer.train_epoch), embeddings, max(1, epochs // EVERY), EVERY, limit)


def _several(epoch: Callable[[], object]) -> Callable[[], None]:
    def step() -> None:
        for _ in range(EVERY):
            epoch()

    return step


RIVALS = {"recbole": recbole_structure, "lenskit": lenskit}
NAMES = {"recbole": "RecBole's structure", "lenskit": "LensKit"}


def results_of(own: Trained, others: dict[str, Trained | None]) -> list[Result]:
    """Ours and each of the others, None for who is not installed."""
    results = shown("ours", own)
    for name, trained in others.items():
        if trained is None:
            results.append(Result.unjudged(NAMES[name], None, "", MISSING))
            continue
        results += shown(NAMES[name], trained)
        time = own.to_best / trained.to_best
        words = "to the best epoch, at most" if trained.cut else "to the best epoch"
        results.append(Result.at_most(f"ours / {NAMES[name]}: {words}", time, SLOWER, "x"))
        results.append(_to_equal(own, trained, NAMES[name]))
        apart = f"ours - {NAMES[name]}: recall@20", own.recall - trained.recall
        if trained.cut:
            results.append(Result.unjudged(*apart, "absolute", "not trained to its end"))
        else:
            results.append(Result.at_least(*apart, -BELOW, "absolute"))
    return results


def _to_equal(own: Trained, other: Trained, name: str) -> Result:
    """How long ours takes to the other's best recall on validation, beside the other."""
    epoch, title = own.reaching(other.valid), f"ours / {name}: to the other's best recall of validation"
    if epoch is None:
        return Result.unjudged(title, None, "x", f"ours never has {other.valid:.4f}")
    return Result.unjudged(title, own.epoch * epoch / other.to_best, "x", f"{other.valid:.4f}, ours in epoch {epoch}")


def measure(epochs: int, seed: int, against: Sequence[str], times: float | None) -> list[Result]:
    """Every training, one after the other in this process."""
    with one_thread(), torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(seed)
        dataset = movielens(RunFolder(Path(folder)).dataset)
        own = ours(dataset, LightGcnOptions(dim=DIM, layers=LAYERS, l2=L2), epochs, seed, Path(folder), LR, EVERY)
        there = {"recbole": True, "lenskit": all(map(find_spec, ("lenskit", "torch_geometric")))}
        limit = None if times is None else times * own.to_best
        found = {name: RIVALS[name](dataset, epochs, seed, limit) if there[name] else None for name in against}
        return results_of(own, found)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lightgcn", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="most epochs of each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--against", nargs="+", choices=list(RIVALS), default=list(RIVALS), help="these alone")
    parser.add_argument("--at-most", type=float, metavar="N", help="end the others after N times our time to the best")
    add_json_option(parser)
    given = parser.parse_args(arguments)
    results = measure(given.epochs, given.seed, given.against, given.at_most)
    return report("LightGCN to its best epoch", results, given.json)


if __name__ == "__main__":
    run(main)
