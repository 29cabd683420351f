"""How much faster is an epoch of RLMRec's models than in the structure of the published code?

    python -m benchmarks.rlmrec_epoch [--json FILE] [--rounds N] [--users N] [--text N] [--model NAME] [--aligner NAME]
        [--memory]

Sizes of its Amazon-book: 11,000 users, 9,332 items, 120,464 interactions with a skew like there, embeddings of 32,
random texts of 1,536 numbers, batches of 4,096. The published structure is in `benchmarks.rlmrec_released`. Both take
the same steps: three layers, dropped edges, noise, contrasts, alignment. An epoch is its draw of negatives plus as many
steps as there are batches, by the best of N steps of either, taken in turns; one thread, CPU time. AutoCF's steps that
draw new graphs are measured apart and counted as often as they occur. `bank` is how many
texts of users, positives and negatives, or of hidden nodes, a step compares; with `all` the loss is the published one.
Most of its time is that of matrix products which nothing can leave out (`benchmarks.rlmrec_products`, timed beside it),
so it is not judged. `--memory` runs each form in a process of its own and says how much memory a step needs beyond what
lies there before it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.result import Result, add_json_option, report, run
from benchmarks.rlmrec_products import Products, con_products, gen_products
from benchmarks.rlmrec_released import (
    ALIGNERS,
    BACKBONES,
    BATCH,
    CON,
    CON_T,
    CONTRAST,
    CONTRAST_T,
    DIM,
    GEN,
    GEN_T,
    HIDDEN,
    KEEP,
    LAYERS,
    LR,
    NOISE,
    PENALTY,
    Pairs,
    ReleasedModel,
)
from benchmarks.rlmrec_released_autocf import APART, HEADS, REDRAW, SEEDS, SHARE, ReleasedAutoCf
from benchmarks.rlmrec_released_dccf import INTENTS, ReleasedDccf
from benchmarks.timing import best_cpu_seconds, one_thread, peak_bytes
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.batches.triplets import BprSampler, Triplets
from recsys.data.dataset import Dataset
from recsys.models.base import TrainedRecommender
from recsys.models.build import build_model
from recsys.models.registry import FAMILIES

USERS, ITEMS, EDGES, TEXT = 11_000, 9_332, 120_464, 1_536
SAMPLED = 1_024
FASTER = {"none": 3.0, "con": 5.0, "gen": 5.0}
OF_BACKBONE = {
    "gccf": {},
    "lightgcn": {"edge_keep": KEEP},
    "sgl": {
        "edge_keep": KEEP,
        "contrast": CONTRAST,
        "contrast_temperature": CONTRAST_T,
        "contrast_negatives": True,  # as many rows as there
    },
    "simgcl": {"noise": NOISE, "contrast": CONTRAST, "contrast_temperature": CONTRAST_T},
    "dccf": {"intents": INTENTS, "contrast": CONTRAST, "temperature": CONTRAST_T},
    "autocf": {"heads": HEADS, "seeds": SEEDS, "masked_share": SHARE, "redraw_every": REDRAW, "contrast": APART},
}
OF_BOTH = {("autocf", "con"): {"negative_items": False}}
RELEASED: dict[str, type[ReleasedModel]] = {
    **dict.fromkeys(BACKBONES, ReleasedModel),
    "dccf": ReleasedDccf,
    "autocf": ReleasedAutoCf,
}
OF_ALIGNER = {
    "none": {},
    "con": {"weight": CON, "temperature": CON_T},
    "gen": {"weight": GEN, "temperature": GEN_T, "hidden": HIDDEN},
}


def data(
    n_users: int = USERS, n_items: int = ITEMS, n_edges: int = EDGES, text: int = TEXT
) -> tuple[Dataset, SideInformation]:
    """Interactions whose users and items have counts like Amazon-book's, and texts; the same in every call."""
    rng = np.random.default_rng(0)
    found = np.empty((0, 2), dtype=np.int64)
    while len(found) < n_edges:
        drawn = [rng.choice(n, n_edges, p=_skew(n)) for n in (n_users, n_items)]
        found = np.unique(np.concatenate([found, np.stack(drawn, axis=1)]), axis=0)
    edges = rng.permutation(found)[:n_edges]
    none = np.zeros((0, 2), dtype=np.int64)

    def matrix(rows: int) -> FeatureMatrix:
        values = rng.standard_normal((rows, text), dtype=np.float32)
        return FeatureMatrix(values, np.arange(rows), np.ones(rows, dtype=np.bool_))

    side = SideInformation(user={"profile": matrix(n_users)}, item={"text": matrix(n_items)})
    return Dataset.from_arrays(n_users, n_items, edges, none, none), side


def _skew(count: int) -> np.ndarray:
    weights = (np.arange(count) + 20.0) ** -0.6
    return weights / weights.sum()


def ours(
    dataset: Dataset, side: SideInformation, backbone: str, aligner: str, bank: Any = "all", **changes: Any
) -> TrainedRecommender:
    """A model of the benchmark's settings, with its defaults otherwise, or with `changes` of options."""
    of_aligner = {"kind": aligner, **OF_ALIGNER[aligner], **OF_BOTH.get((backbone, aligner), {})}
    of_aligner |= {} if aligner == "none" else {"bank": bank}
    given = {"dim": DIM, "layers": LAYERS, "l2": PENALTY, **OF_BACKBONE[backbone], "aligner": of_aligner, **changes}
    options = FAMILIES[backbone].options.model_validate(given)
    model = build_model(dataset, side, options, torch.Generator().manual_seed(0))
    assert isinstance(model, TrainedRecommender)
    return model.train()


def stepping(model: torch.nn.Module, loss: Callable[[], Tensor], *, fused: bool) -> Callable[[], float]:
    """A step of Adam on the next batch; gives the loss."""
    optimiser = torch.optim.Adam(model.parameters(), lr=LR, fused=fused)

    def step() -> float:
        optimiser.zero_grad(set_to_none=True)
        value = loss()
        value.backward()
        optimiser.step()
        return value.item()

    return step


def _endless(sampler: BprSampler) -> Iterator[Triplets]:
    while True:
        yield from sampler.epoch()


def forms(aligner: str) -> list[str]:
    """The published structure, and ours with each bank."""
    return ["released", "all"] if aligner == "none" else ["released", "all", str(SAMPLED)]


def published(dataset: Dataset, side: SideInformation, backbone: str, aligner: str) -> ReleasedModel:
    """The same model in the published structure."""
    texts = (torch.from_numpy(part.values) for part in (side.user["profile"], side.item["text"]))
    return RELEASED[backbone](backbone, aligner, dataset.train, *texts)


def step_of(
    dataset: Dataset, side: SideInformation, backbone: str, aligner: str, form: str, number: int = 0
) -> Callable[[], float]:
    """A training step in one of `forms`, each time as the one of this number in its epoch."""
    if form == "released":
        released = published(dataset, side, backbone, aligner)
        pairs = Pairs(dataset.train, dataset.n_users, dataset.n_items).batches()

        def published_loss() -> Tensor:
            released.before_step(number)
            return released(next(pairs))

        return stepping(released, published_loss, fused=False)
    model = ours(dataset, side, backbone, aligner, "all" if form == "all" else int(form))
    batches = _endless(_sampler(dataset))

    def own_loss() -> Tensor:
        model.before_step(number)
        return torch.stack(list(model.loss(next(batches)).values())).sum()

    return stepping(model, own_loss, fused=True)


def steps_of_epoch(backbone: str, batches: int) -> dict[int, int]:
    """Numbers of the steps that stand for all of an epoch, with how many each stands for."""
    if backbone != "autocf":
        return {0: batches}
    drawing = -(-batches // REDRAW)
    return {0: drawing, 1: batches - drawing}


def _sampler(dataset: Dataset) -> BprSampler:
    generator = torch.Generator().manual_seed(0)
    return BprSampler(dataset.train, dataset.n_users, dataset.n_items, batch_size=BATCH, generator=generator)


def step_memory(users: int, backbone: str, aligner: str, form: str) -> int:
    """Bytes that two steps need beyond data, model and graph, in a process that did nothing else before."""
    with one_thread():
        dataset, side = data(*_grown(users))
        step = step_of(dataset, side, backbone, aligner, form)
        before = peak_bytes()
        step()
        step()
        return peak_bytes() - before


def _grown(users: int) -> tuple[int, int, int]:
    return users, round(ITEMS * users / USERS), round(EDGES * users / USERS)


def draw_seconds(dataset: Dataset) -> dict[str, float]:
    """CPU seconds that either form takes to draw an epoch's negatives."""
    pairs = Pairs(dataset.train, dataset.n_users, dataset.n_items)
    rng = np.random.default_rng(0)
    begun = time.process_time()
    pairs.draw(rng)
    released = time.process_time() - begun
    sampler = _sampler(dataset)
    own = best_cpu_seconds({"own": lambda: sum(1 for _ in sampler.epoch())}, 2)["own"]
    return {"released": released, "own": own}


def measure(
    dataset: Dataset, side: SideInformation, models: Sequence[str], aligners: Sequence[str], rounds: int
) -> list[Result]:
    """Every epoch, and its ratio to the published structure's."""
    results: list[Result] = []
    batches = -(-len(dataset.train) // BATCH)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawing = draw_seconds(dataset)
        results += [
            Result.unjudged(f"negatives, {form}", 1e3 * t, "CPU-ms", "an epoch's") for form, t in drawing.items()
        ]
        results += least_of_exact(dataset, side, aligners, batches, rounds)
        for backbone in models:
            for aligner in aligners:
                best = dict.fromkeys(forms(aligner), 0.0)
                for number, count in steps_of_epoch(backbone, batches).items():
                    steps = {form: step_of(dataset, side, backbone, aligner, form, number) for form in best}
                    for step in steps.values():
                        step()
                    for form, seconds in best_cpu_seconds(steps, rounds).items():
                        best[form] += count * seconds
                released = drawing["released"] + best.pop("released")
                name = f"{backbone}, {aligner}"
                results.append(Result.unjudged(f"{name}: released structure", released, "CPU-s", "an epoch"))
                for bank, seconds in best.items():
                    own = drawing["own"] + seconds
                    kind = f"{name}, bank {bank}" if aligner != "none" else name
                    results.append(Result.unjudged(f"{kind}: epoch", own, "CPU-s", "one thread"))
                    results.append(_ratio(f"{kind}: faster", released / own, aligner, bank))
    return results


def least_of_exact(
    dataset: Dataset, side: SideInformation, aligners: Sequence[str], batches: int, rounds: int
) -> list[Result]:
    """What the products of the exact losses take alone, and how many operations they are."""
    results: list[Result] = []
    for aligner, products in products_of(dataset, side).items():
        if aligner in aligners:
            seconds = best_cpu_seconds({aligner: products.work}, rounds + 1)[aligner]
            about = f"an epoch, at {products.operations / seconds / 1e9:.0f} GFLOP a second"
            results += [
                Result.unjudged(f"{aligner}, bank all: its products", products.operations / 1e9, "GFLOP", "a step"),
                Result.unjudged(f"{aligner}, bank all: its products alone", batches * seconds, "CPU-s", about),
            ]
    return results


def products_of(dataset: Dataset, side: SideInformation) -> dict[str, Products]:
    """By aligner, of the first batch of an epoch."""
    length, first = side.user["profile"].dim, next(_endless(_sampler(dataset)))
    items = len(torch.cat([first.positive, first.negative]).unique())
    hidden = int(HIDDEN * (dataset.n_users + dataset.n_items))
    return {"con": con_products(dataset.n_users + items, length, DIM), "gen": gen_products(hidden, length, DIM)}


def _ratio(name: str, value: float, aligner: str, bank: str) -> Result:
    if aligner != "none" and bank == "all":
        return Result.unjudged(name, value, "x", "the published loss, text by text")
    return Result.at_least(name, value, FASTER[aligner], "x")


def measure_memory(users: int, models: Sequence[str], aligners: Sequence[str]) -> list[Result]:
    """The memory of a step of every model in every form."""
    results = []
    for backbone, aligner in product(models, aligners):
        for form in forms(aligner):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                needed = pool.apply(step_memory, (users, backbone, aligner, form))
            name = f"{backbone}, {aligner}, {form if form == 'released' else f'bank {form}'}: memory of a step"
            results.append(Result.unjudged(name, needed / 1e6, "MB", "beyond data, model and graph"))
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.rlmrec_epoch", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="steps of which the best counts")
    parser.add_argument("--users", type=int, default=USERS, metavar="N", help="items and interactions grow with them")
    parser.add_argument("--text", type=int, default=TEXT, metavar="N", help="numbers in the vector of a text")
    parser.add_argument("--model", action="append", default=[], choices=RELEASED, help="may be repeated; default all")
    parser.add_argument("--aligner", action="append", default=[], choices=ALIGNERS, help="may be repeated; default all")
    parser.add_argument("--memory", action="store_true", help="measure memory in place of time")
    add_json_option(parser)
    given = parser.parse_args(arguments)
    chosen = given.model or list(RELEASED), given.aligner or ALIGNERS
    if given.memory:
        results = measure_memory(given.users, *chosen)
    else:
        results = measure(*data(*_grown(given.users), given.text), *chosen, given.rounds)
    return report(f"Epochs of RLMRec's models, {given.users:,} users", results, given.json)


if __name__ == "__main__":
    run(main)
