"""Two processes with half of every batch each train what one process with whole batches trains.

Run by torchrun, this file is its own worker: it trains every case as one rank of two.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.files import read_json, read_parquet
from augrec.artefacts.progress import Ticker
from recsys.aligners.options import GenOptions
from recsys.augmentation import Edges, FeatureMatrix, SideInformation
from recsys.batches.triplets import Triplets
from recsys.data.dataset import Dataset
from recsys.models.lightgcn import LightGCN
from recsys.models.options.base import FamilyOptions
from recsys.models.options.lightgcn import LightGcnOptions
from recsys.models.options.sgl import SglOptions
from recsys.models.options.simgcl import SimGclOptions
from recsys.models.registry import FAMILIES
from recsys.options import EvaluationOptions, Judged, TrainingOptions
from recsys.training.distributed import Team, share_of
from recsys.training.launch import end_process, launch
from recsys.training.train import train
from tests.kit.families import learning
from tests.kit.machine_speed import patience
from tests.kit.rated_data import directors, rated_data
from tests.kit.toy_attributes import genres_of_two_tastes
from tests.recsys.killing import Killer

pytestmark = pytest.mark.slow

QUICK = TrainingOptions(epochs=4, batch_size=101, lr=0.02, threads=1, device="cpu")
SMALL = LightGcnOptions(dim=8, layers=2)


def shared() -> list[str]:
    """The families of ranking models that several processes train together."""
    two, found = QUICK.model_copy(update={"processes": 2}), []
    for name in learning(Judged.RANKING):
        with suppress(UsageError):
            FAMILIES[name].options().check_training(two)
            found.append(name)
    return found


class Idle(LightGCN):
    """Has a parameter that no loss uses."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.idle = torch.nn.Parameter(torch.ones(3))


class Averse(LightGCN):
    """Has a second objective with a parameter of its own, as an adversary has."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.judge = torch.nn.Parameter(torch.ones(8))

    def objectives(self) -> tuple[Any, ...]:
        return self.second, self.loss

    def second(self, batch: Triplets) -> dict[str, torch.Tensor]:
        if len(batch) < 2:
            return {}
        return {"judge": (self.user_embedding.detach()[batch.user] @ self.judge - 1).square().mean()}


CASES: dict[str, tuple[type[LightGCN], FamilyOptions, dict[str, Any]]] = {
    "odd batches": (LightGCN, SMALL, {}),
    "a last batch of one": (LightGCN, SMALL, {"batch_size": 479}),
    "suggested edges": (LightGCN, SMALL.model_copy(update={"aug_sample_rate": 0.5}), {}),
    "early stopping": (LightGCN, SMALL, {"epochs": 40, "patience": 2, "lr": 0.1}),
    "an unused parameter": (Idle, SMALL, {}),
    "a second objective": (Averse, SMALL, {"batch_size": 160}),
    "bf16": (LightGCN, SMALL, {"precision": "bf16"}),
    "edge dropout": (LightGCN, SMALL.model_copy(update={"edge_keep": 0.7, "l2_kind": "all"}), {}),
    "hidden nodes": (LightGCN, SMALL.model_copy(update={"aligner": GenOptions(bank=20)}), {}),
    "views": (LightGCN, SglOptions(dim=8, layers=2), {}),
    "noise": (LightGCN, SimGclOptions(dim=8, layers=2), {}),
}


def world() -> tuple[Dataset, SideInformation]:
    """60 users x 40 items in two tastes, and a suggested triplet for each user."""
    rng = np.random.default_rng(5)
    parts: list[list[tuple[int, int]]] = [[], [], []]
    for user in range(60):
        items = rng.choice(np.arange(20) + 20 * (user % 2), size=12, replace=False)
        for part, chosen in zip(parts, np.split(items, [8, 10]), strict=True):
            part.extend((user, int(item)) for item in chosen)
    edges = Edges.from_arrays(np.arange(60), *rng.integers(0, 40, (2, 60)))
    users, items = (FeatureMatrix.from_dense(rng.normal(size=(rows, 6))) for rows in (60, 40))
    side = SideInformation(edges, {"profile": users}, {"text": items})
    return Dataset.from_arrays(60, 40, *(np.array(part) for part in parts)), side


def run(out: Path, name: str, ticker: Ticker | None = None, **changes: Any) -> dict[str, Any]:
    from recsys.models import lightgcn

    model, options, own = CASES[name]
    before, lightgcn.LightGCN = lightgcn.LightGCN, model  # type: ignore[misc]
    try:
        training, cutoffs = QUICK.model_copy(update={**own, **changes}), EvaluationOptions(cutoffs=(5, 20))
        dataset, side = world()
        return train(dataset, options, side, training, cutoffs, 3, out / name, "variant", "fingerprint", ticker)
    finally:
        lightgcn.LightGCN = before  # type: ignore[misc]


def killed_in_the_middle(out: Path) -> None:
    with suppress(KeyboardInterrupt):
        run(out, "odd batches", resume_minutes=0.0, ticker=Killer(2))


def run_family(out: Path, name: str) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    users, *items = (FeatureMatrix.from_dense(rng.normal(size=(rows, 6))) for rows in (60, 40, 40, 40))
    dataset, side = world()
    modalities, attributes = {"text": items[0], "image": items[1]}, {"title": items[2]}
    side = SideInformation(side.edges, {"profile": users}, modalities, attributes, nodes=genres_of_two_tastes())
    training = QUICK.model_copy(update={"epochs": 2, "batch_size": 160})
    cutoffs = EvaluationOptions(cutoffs=(5, 20))
    return train(dataset, FAMILIES[name].options(), side, training, cutoffs, 3, out / name, "variant", "fingerprint")


def run_rating(out: Path, name: str) -> dict[str, Any]:
    dataset, options = rated_data(), FAMILIES[name].options.model_validate({"dim": 4})
    training = QUICK.model_copy(update={"monitor": "rmse"})
    evaluation = EvaluationOptions()
    return train(dataset, options, directors(), training, evaluation, 3, out / name, "variant", "fingerprint")


def as_rank(out: Path) -> None:
    returned = {name: run(out / "two", name) for name in CASES}
    returned |= {name: run_family(out / "families", name) for name in shared()}
    returned |= {name: run_rating(out / "two", name) for name in learning(Judged.RATING)}
    killed_in_the_middle(out / "resumed")
    returned["resumed"] = run(out / "resumed", "odd batches", resume_minutes=0.0)
    (out / f"returned-{os.environ['RANK']}.json").write_text(json.dumps(returned))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("distributed")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", __file__, str(out)]
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": f"{root}", "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=patience(120))
    assert result.returncode == 0, result.stderr[-4000:]
    for name in CASES:
        run(out / "one", name)
    for name in learning(Judged.RATING):
        run_rating(out / "one", name)
    return out


@pytest.mark.parametrize("name", CASES)
def test_two_processes_train_what_one_trains(trained: Path, name: str) -> None:
    one, two = (read_json(trained / which / name / "metrics.json") for which in ("one", "two"))
    assert (one["processes"], two["processes"]) == (1, 2)
    assert (one["best_epoch"], one["epochs"]) == (two["best_epoch"], two["epochs"])
    for left, right in zip(one["history"], two["history"], strict=True):
        assert left["terms"] == pytest.approx(right["terms"], rel=2e-4)
        # After many large steps scores differ by rounding, and two nearly equal ones may change places.
        assert left["valid"] == pytest.approx(right["valid"], abs=1e-3 if name == "early stopping" else 1e-12)
    assert one["test"] == pytest.approx(two["test"], abs=1e-12)
    states = [load_file(trained / which / name / "model.safetensors") for which in ("one", "two")]
    for key, tensor in states[0].items():
        assert torch.allclose(tensor, states[1][key], atol=2e-4), key
    tables = [read_parquet(trained / which / name / "per_user.parquet") for which in ("one", "two")]
    assert tables[0].equals(tables[1])


@pytest.mark.parametrize("name", learning(Judged.RATING))
def test_two_processes_rate_as_one_does(trained: Path, name: str) -> None:
    one, two = (read_json(trained / which / name / "metrics.json") for which in ("one", "two"))
    assert (one["processes"], two["processes"], one["judged"]) == (1, 2, "rating")
    # Adam makes a whole step of a gradient that is hardly more than rounding, and which way depends on the processor.
    assert one["test"] == pytest.approx(two["test"], rel=1e-4)
    assert one["best_epoch"] == two["best_epoch"]
    states = [load_file(trained / which / name / "model.safetensors") for which in ("one", "two")]
    for key, tensor in states[0].items():
        assert torch.allclose(tensor, states[1][key], atol=2e-3), key


def test_one_family_alone_is_trained_by_one_process() -> None:
    assert set(learning(Judged.RANKING)) - set(shared()) == {"mf_bpr_sgd"}


@pytest.mark.parametrize("name", shared())
def test_every_family_that_learns_can_be_shared(trained: Path, name: str) -> None:
    metrics = read_json(trained / "families" / name / "metrics.json")
    assert metrics["processes"] == 2
    assert all(np.isfinite(list(epoch["terms"].values())).all() for epoch in metrics["history"])
    assert metrics["valid"]["recall@20"] > 0


def test_what_no_loss_uses_stays_as_it_was(trained: Path) -> None:
    assert load_file(trained / "two" / "an unused parameter" / "model.safetensors")["idle"].tolist() == [1, 1, 1]


def test_all_processes_return_the_same_and_one_writes(trained: Path) -> None:
    first, second = (json.loads((trained / f"returned-{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    folder = trained / "two" / "odd batches"
    assert first["odd batches"] == read_json(folder / "metrics.json")
    assert sorted(path.name for path in folder.iterdir()) == [
        "metrics.json", "model.safetensors", "per_user.parquet", "train.log",
    ]  # fmt: skip
    assert (folder / "train.log").read_text().count("epoch 3  loss") == 1


def test_a_killed_training_of_two_goes_on(trained: Path) -> None:
    whole, cut = (load_file(trained / which / "odd batches" / "model.safetensors") for which in ("two", "resumed"))
    assert all(torch.equal(whole[key], cut[key]) for key in whole)
    assert "going on after epoch 2" in (trained / "resumed" / "odd batches" / "train.log").read_text()
    assert not list((trained / "resumed" / "odd batches").glob("unfinished*"))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("observed", [1, 3, 7, 9])
def test_shares_make_up_the_batch_and_its_mean(observed: int, weighted: bool) -> None:
    size, suggested = 3, 4
    ids = torch.arange(observed + suggested)
    batch = Triplets(ids, ids + 100, ids + 200, torch.rand(len(ids)) if weighted else None, observed)
    parts = [share_of(batch, Team(rank, size)) for rank in range(size)]
    if observed < size:
        assert all(part is batch and scale == 1 for part, scale in parts)
        return
    assert torch.equal(torch.cat([part.user for part, _ in parts]).sort().values, ids)
    assert sum(part.observed for part, _ in parts) == observed
    for part, _ in parts:
        assert (part.user[: part.observed] < observed).all()
        assert (part.user[part.observed :] >= observed).all()
        assert torch.equal(part.negative - part.user, torch.full_like(part.user, 200))
        if weighted:
            assert batch.weight is not None
            assert part.weight is not None
            assert torch.equal(part.weight, batch.weight[part.user])
    means = [scale * part.user.double().mean() for part, scale in parts]
    assert sum(means) / size == pytest.approx(ids.double().mean())


def fails_in_one_rank(word: str, ticker: Any) -> None:
    """Rank 1 fails while rank 0 waits for it."""
    if os.environ["RANK"] == "1":
        raise DataError(word, where="here", remedy="mend it")
    ticker.advance(2)
    ticker.note("waiting")
    torch.distributed.barrier()


def test_a_failure_in_one_process_ends_them_all_and_keeps_its_words() -> None:
    class Counter:
        said: list[Any]

        def __init__(self) -> None:
            self.said = []

        def advance(self, done: int = 1) -> None:
            self.said.append(done)

        def skip(self, done: int = 1) -> None:
            raise AssertionError

        def note(self, text: str) -> None:
            self.said.append(text)

    counter = Counter()
    with pytest.raises(DataError, match="torn\n  where:  here\n  remedy: mend it"):
        launch(fails_in_one_rank, ("torn",), processes=2, device="cpu", threads=1, ticker=counter)
    assert counter.said in ([], [2], [2, "waiting"]), "what was said before the end, in order"


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for GPUs that are not there")
def test_several_processes_need_as_many_gpus() -> None:
    for device, text in (("cuda:1", "names one GPU"), ("cuda", "processes is 2 and torch sees 0")):
        with pytest.raises(UsageError, match=text):
            launch(fails_in_one_rank, (), processes=2, device=device, threads=1)


def test_a_process_that_is_alone_talks_to_nobody() -> None:
    team, tensor = Team(), torch.ones(2)
    assert team.sum(tensor) is tensor
    assert team.gather("x") == ["x"]
    assert team.decide(3) == 3


if __name__ == "__main__":
    as_rank(Path(sys.argv[1]))
    torch.distributed.barrier()
    end_process()
