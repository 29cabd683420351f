"""What goes wrong in a training is said in words of its options; and what must stay true of every training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import read_parquet
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.batches.base import Queries
from recsys.data.dataset import Dataset
from recsys.data.sealed import SealedSplit
from recsys.device import peak_memory_mb, reset_peak_memory
from recsys.models.base import EmbeddingRecommender
from recsys.models.lightgcn import LightGCN
from recsys.models.options.base import FamilyOptions
from recsys.models.options.lightgcn import LightGcnOptions
from recsys.models.options.llmrec import LLMRecOptions
from recsys.models.registry import FAMILIES
from recsys.options import EvaluationOptions, TrainingOptions
from recsys.training.snapshot import differences
from recsys.training.train import train
from tests.recsys.killing import Killer

QUICK = TrainingOptions(epochs=3, batch_size=128, lr=0.02, threads=1, device="cpu")
CUTOFFS = EvaluationOptions(cutoffs=(5, 20), chunk=16)
SMALL = LightGcnOptions(dim=8, layers=2)


def run(
    dataset: Dataset,
    out: Path,
    model: FamilyOptions = SMALL,
    side: SideInformation | None = None,
    *,
    judge_test: bool = True,
    **changes: Any,
) -> dict[str, Any]:
    ticker = changes.pop("ticker", None)
    training = QUICK.model_copy(update=changes)
    side = side or SideInformation()
    return train(dataset, model, side, training, CUTOFFS, 3, out, "v", "f", ticker, judge_test=judge_test)


def test_other_options_start_anew_and_the_log_names_them(
    tastes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tastes, tmp_path / "cut", resume_minutes=0.0, ticker=Killer(1))
    changed = {"lr": 0.01, "resume_minutes": 0.0}
    resumed = run(tastes, tmp_path / "cut", SMALL.model_copy(update={"layers": 1}), **changed)
    fresh = run(tastes, tmp_path / "fresh", SMALL.model_copy(update={"layers": 1}), **changed)
    assert [epoch["loss"] for epoch in resumed["history"]] == [epoch["loss"] for epoch in fresh["history"]]
    log = (tmp_path / "cut" / "train.log").read_text()
    assert (
        "starting anew: unfinished.safetensors is of another training (model.layers was 2, is 1, "
        "training.lr was 0.02, is 0.01)" in log
    )
    assert "going on" not in log


def test_a_torn_snapshot_is_said_to_be_one(tastes: Dataset, tmp_path: Path) -> None:
    (tmp_path / "unfinished.safetensors").write_bytes(b"\x10\0\0")
    run(tastes, tmp_path)
    assert "starting anew: unfinished.safetensors cannot be read" in (tmp_path / "train.log").read_text()


def test_differences_name_keys_on_either_side() -> None:
    before, now = {"a": {"b": 1, "c": 2}, "gone": 1}, {"a": {"b": 1, "c": 3}, "new": [1]}
    assert differences(before, now) == ["a.c was 2, is 3", "gone was 1, is null", "new was null, is [1]"]
    assert differences(now, now) == []


FAILURES = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nGPU 0 has ..."),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=["gpu", "numpy", "cpu"])
@pytest.mark.parametrize(
    ("method", "phase", "remedy"),
    [
        ("loss", "training", r"lower training.batch_size \(now 128\)"),
        ("scores", "evaluation", r"lower evaluation.chunk \(now 16\)"),
    ],
)
def test_memory_that_runs_out_is_explained(
    tastes: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    method: str,
    phase: str,
    remedy: str,
) -> None:
    def fails(*_: Any) -> None:
        raise failure

    monkeypatch.setattr(LightGCN, method, fails)
    with pytest.raises(AugrecError, match=f"(?s)memory ran out in {phase}.*{remedy}") as caught:
        run(tastes, tmp_path)
    assert "a batch (training.batch_size=128): 24.0 KiB" in caught.value.what
    assert "scores (evaluation.chunk=16 users x 40 items): 2.5 KiB" in caught.value.what
    assert not (tmp_path / "metrics.json").exists()


def test_a_table_that_fits_nowhere_is_explained_by_its_size(tastes: Dataset, tmp_path: Path) -> None:
    with pytest.raises(AugrecError, match=r"(?s)memory ran out in building the model.*dim smaller") as caught:
        run(tastes, tmp_path, LightGcnOptions(dim=10**13))
    table = 100 * 10**13 * 4 / 2**40
    assert f"parameters: {table:.2f} TiB; Adam's moments: {2 * table:.2f} TiB" in caught.value.what


def test_other_errors_keep_their_own_words(tastes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(LightGCN, "loss", fails)
    with pytest.raises(RuntimeError, match=r"^shapes do not match$"):
        run(tastes, tmp_path)


@pytest.mark.parametrize("name", ["lightgcn", "mf_bpr", "ease", "popularity"])
def test_one_user_is_enough(tmp_path: Path, name: str) -> None:
    parts = ([[0, 0], [0, 1], [0, 2]], [[0, 3]], [[0, 4]])
    dataset = Dataset.from_arrays(1, 6, *(np.array(part) for part in parts))
    metrics = run(dataset, tmp_path, FAMILIES[name].options())
    assert (metrics["n_test_users"], metrics["n_valid_users"]) == (1, 1)
    assert metrics["test"]["recall@5"] == 1.0, "two candidates are left, one is the test item"
    assert read_parquet(tmp_path / "per_user.parquet").num_rows == 1


def test_a_search_never_reads_the_test_split(tastes: Dataset, tmp_path: Path) -> None:
    sealed = tastes.sealed()
    metrics = run(sealed, tmp_path, judge_test=False)
    assert (metrics["test"], metrics["n_test_users"]) == ({}, 0)
    assert metrics["valid"]["recall@20"] > 0
    assert not (tmp_path / "per_user.parquet").exists()
    assert run(tastes, tmp_path / "open", judge_test=False)["valid"] == metrics["valid"]
    with pytest.raises(SealedSplit):
        run(sealed, tmp_path)


def features(rows: int, seed: int) -> FeatureMatrix:
    return FeatureMatrix.from_dense(np.random.default_rng(seed).normal(size=(rows, 6)))


def test_bf16_leaves_parameters_scores_and_id_models_as_they_are(
    tastes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    scores = EmbeddingRecommender.scores

    def watched(self: EmbeddingRecommender, queries: Queries) -> torch.Tensor:
        result = scores(self, queries)
        assert not torch.is_autocast_enabled("cpu")
        assert self._embeddings is not None
        seen.extend([result.dtype, *(part.dtype for part in self._embeddings)])
        return result

    monkeypatch.setattr(EmbeddingRecommender, "scores", watched)
    plain, bf16 = (run(tastes, tmp_path / precision, precision=precision) for precision in ("no", "bf16"))
    assert [epoch["terms"] for epoch in plain["history"]] == [epoch["terms"] for epoch in bf16["history"]]
    assert plain["test"] == bf16["test"]
    side = SideInformation(user={"profile": features(60, 0)}, item={"text": features(40, 1)})
    run(tastes, tmp_path / "llmrec", LLMRecOptions(dim=8), side, precision="bf16")
    for name in ("bf16", "llmrec"):
        state = load_file(tmp_path / name / "model.safetensors")
        assert {tensor.dtype for tensor in state.values()} == {torch.float32}
    assert set(seen) == {torch.float32}


def test_times_and_memory_are_this_trainings_own(tastes: Dataset, tmp_path: Path) -> None:
    ballast = np.ones(40_000_000)  # 305 MiB
    del ballast
    metrics = run(tastes, tmp_path)
    seconds = sorted(epoch["seconds"] for epoch in metrics["history"])
    assert metrics["seconds_per_epoch"] == seconds[1]
    assert metrics["peak_memory_mb"] > 100, "the process, with torch in it"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux resets a process's peak")
def test_a_peak_is_counted_anew() -> None:
    cpu = torch.device("cpu")
    reset_peak_memory(cpu)
    before = peak_memory_mb(cpu)
    ballast = np.ones(40_000_000)
    high = peak_memory_mb(cpu)
    del ballast
    assert high > before + 250
    reset_peak_memory(cpu)
    assert peak_memory_mb(cpu) < high - 250
