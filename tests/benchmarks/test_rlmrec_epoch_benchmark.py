"""The benchmark compares like with like: the published structure and ours give the same loss of a batch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import rlmrec_epoch, rlmrec_released, rlmrec_released_autocf
from benchmarks.rlmrec_epoch import data, forms, measure, ours, products_of, published
from recsys.augmentation import SideInformation
from recsys.batches.triplets import Triplets
from recsys.data.dataset import Dataset
from recsys.draws import Draws
from recsys.models.parts.graph_recommender import GraphRecommender

SIZES = 40, 30, 200, 12


@pytest.fixture(scope="module")
def small() -> tuple[Dataset, SideInformation]:
    return data(*SIZES)


@pytest.mark.parametrize("aligner", rlmrec_released.ALIGNERS)
@pytest.mark.parametrize("backbone", rlmrec_epoch.RELEASED)
def test_both_structures_give_the_same_loss(
    small: tuple[Dataset, SideInformation], monkeypatch: pytest.MonkeyPatch, backbone: str, aligner: str
) -> None:
    """Where nothing is left to chance: no edge dropped, no noise, everybody hidden, and the same draws of graphs."""
    for name, value in (("KEEP", 1.0), ("NOISE", 0.0), ("HIDDEN", 1.0)):
        monkeypatch.setattr(rlmrec_released, name, value)
    monkeypatch.setattr(rlmrec_released_autocf, "SEEDS", 2)
    certain = {
        "lightgcn": {"edge_keep": 1.0},
        "sgl": {"edge_keep": 1.0},
        "simgcl": {"noise": 0.0},
        "autocf": {"seeds": 2},
    }.get(backbone, {})
    monkeypatch.setitem(rlmrec_epoch.OF_BACKBONE, backbone, {**rlmrec_epoch.OF_BACKBONE[backbone], **certain})
    monkeypatch.setitem(rlmrec_epoch.OF_ALIGNER, "gen", {**rlmrec_epoch.OF_ALIGNER["gen"], "hidden": 1.0})
    extra = {"unused_weights": False} if backbone == "gccf" else {}
    own = ours(*small, backbone, aligner, released=True, **extra)
    theirs = published(*small, backbone, aligner)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_(0.0, 0.1, generator=torch.Generator().manual_seed(parameter.numel()))
    names = {"user_embeds": "user_embedding", "item_embeds": "item_embedding", "token": "aligner.token"}
    names |= {f"mlp.{layer}.{kind}": f"aligner.mlp.{layer}.{kind}" for layer in (0, 2) for kind in ("weight", "bias")}
    own.load_state_dict({names.get(name, name): value for name, value in theirs.state_dict().items()})
    generator = torch.Generator().manual_seed(1)
    batch = [torch.randint(high, (25,), generator=generator) for high in (40, 30, 30)]
    assert isinstance(own, GraphRecommender)
    for number in (0, 1):  # AutoCF draws its graphs in the first of them
        own.draw = Draws(torch.Generator().manual_seed(5))
        own.before_step(number)
        found = torch.stack(list(own.loss(Triplets(*batch, None, 25)).values())).sum()  # type: ignore[arg-type]
        with torch.random.fork_rng():
            torch.manual_seed(5)
            theirs.before_step(number)
            assert found.item() == pytest.approx(theirs(batch).item(), rel=1e-5)


def test_every_form_is_measured_and_the_exact_ones_of_texts_are_not_judged(
    small: tuple[Dataset, SideInformation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = measure(*small, ["lightgcn"], rlmrec_released.ALIGNERS, 1)
    judged = {result.name for result in results if result.ok is not None}
    assert judged == {
        "lightgcn, none: faster", "lightgcn, con, bank 1024: faster", "lightgcn, gen, bank 1024: faster"
    }  # fmt: skip
    assert sum(result.name.endswith("epoch") for result in results) == 5
    monkeypatch.setattr(rlmrec_epoch, "data", lambda *sizes: small)
    out = tmp_path / "out.json"
    rlmrec_epoch.main(["--rounds", "1", "--model", "gccf", "--aligner", "none", "--json", str(out)])
    assert {"gccf, none: faster"} == {r["name"] for r in json.loads(out.read_text()) if r["ok"] is not None}


@pytest.mark.parametrize("aligner", ["con", "gen"])
def test_operations_of_the_products_are_those_that_torch_counts(
    small: tuple[Dataset, SideInformation], aligner: str
) -> None:
    products = products_of(*small)[aligner]
    with FlopCounterMode(display=False) as counter:
        products.work()
    assert products.operations == counter.get_total_flops()


def test_steps_that_draw_graphs_are_counted_as_often_as_they_occur() -> None:
    assert rlmrec_epoch.steps_of_epoch("lightgcn", 30) == {0: 30}
    assert rlmrec_epoch.steps_of_epoch("autocf", 30) == {0: 3, 1: 27}
    assert rlmrec_epoch.steps_of_epoch("autocf", 31) == {0: 4, 1: 27}


def test_steps_learn_and_negatives_are_nobodys(small: tuple[Dataset, SideInformation]) -> None:
    for form in forms("con"):
        step = rlmrec_epoch.step_of(*small, "lightgcn", "con", form)
        losses = [step() for _ in range(30)]
        assert losses[-1] < losses[0], form
    dataset = small[0]
    pairs = rlmrec_released.Pairs(dataset.train, dataset.n_users, dataset.n_items)
    pairs.draw(np.random.default_rng(0))
    owned = {tuple(pair) for pair in dataset.train.tolist()}
    assert not any(
        (user, item) in owned for user, item in zip(pairs.rows.tolist(), pairs.negatives.tolist(), strict=True)
    )
