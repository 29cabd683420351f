"""The epoch benchmark's own parts: the data it names, how it selects, and what it does without the other packages."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import epoch
from recsys.data.dataset import Dataset


@pytest.mark.data
def test_the_split_is_the_described_one(tmp_path: Path) -> None:
    dataset = epoch.movielens(tmp_path / "dataset")
    assert (dataset.n_users, dataset.n_items) == (938, 1008)
    assert len(dataset.train) + len(dataset.valid) + len(dataset.test) == 54_413


def test_training_stops_after_patience_and_the_best_step_is_judged(two_tastes: Dataset) -> None:
    truth = torch.zeros(20, 12)
    truth[two_tastes.valid[:, 0], two_tastes.valid[:, 1]] = 1
    truth[two_tastes.test[:, 0], two_tastes.test[:, 1]] = 0.9
    other = torch.randn(12, 12, generator=torch.Generator().manual_seed(0)).repeat(2, 1)[:20] / 100
    steps: list[int] = []

    def embeddings() -> tuple[torch.Tensor, torch.Tensor]:
        return (truth if len(steps) == 3 else other), torch.eye(12)

    trained = epoch.selected(two_tastes, lambda: steps.append(1), embeddings, steps=99, per_step=5)
    assert trained.best_epoch in (5, 15)
    assert len(steps) == trained.best_epoch // 5 + epoch.PATIENCE


def test_our_part_runs_and_learns(two_tastes: Dataset, tmp_path: Path) -> None:
    trained = epoch.ours(two_tastes, epoch.LightGcnOptions(dim=8, layers=1), 4, 0, tmp_path)
    assert trained.epoch > 0
    assert 1 <= trained.best_epoch <= 4
    assert trained.recall == 1.0  # twelve items, twenty places


@pytest.mark.parametrize("avoid_owned", [False, True])
def test_the_part_of_pyg_runs(two_tastes: Dataset, avoid_owned: bool) -> None:
    pytest.importorskip("torch_geometric")
    assert epoch.pyg_lightgcn(two_tastes, 2, 0, avoid_owned=avoid_owned).recall == 1.0


def test_missing_packages_are_said(
    two_tastes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(epoch, "find_spec", lambda name: None)
    monkeypatch.setattr(epoch, "movielens", lambda folder: two_tastes)
    assert epoch.main(["--epochs", "4", "--json", str(tmp_path / "out.json")]) == 0
    assert '"LightGCN: recall@20"' in (tmp_path / "out.json").read_text()
    printed = capsys.readouterr().out
    assert "PyG LightGCN" in printed
    assert "not installed" in printed
