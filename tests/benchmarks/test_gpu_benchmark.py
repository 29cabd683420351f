"""The benchmark of GPUs runs on tiny data wherever it is, and its parts have the results of the forms beside them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from augrec.artefacts.errors import AugrecError
from benchmarks import gpu
from recsys.batches.sequences import Windows

CPU = torch.device("cpu")


def test_every_part_is_measured_and_none_judged(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    assert gpu.main(["--small", "--rounds", "1", "--json", str(out)]) == 0
    rows = json.loads(out.read_text())
    shares = {row["name"]: row["value"] for row in rows if row["name"].endswith("share of the roofline")}
    assert len(shares) == len(gpu.PARTS)
    assert all(math.isfinite(share) and share > 0 for share in shares.values())
    assert {row["ok"] for row in rows} == {None}


def test_where_no_gpu_is_nothing_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "device", lambda: CPU)
    monkeypatch.setattr(gpu, "PARTS", None)
    out = tmp_path / "out.json"
    assert gpu.main(["--json", str(out)]) == 0
    (row,) = json.loads(out.read_text())
    assert row["value"] is None
    assert "sees none" in row["target"]


def test_a_form_with_another_result_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = gpu.info_nce
    monkeypatch.setattr(gpu, "info_nce", lambda *given: 1.01 * found(*given))
    with pytest.raises(AugrecError, match="InfoNCE does not agree"):
        gpu.info_nce_part(gpu.SMALL, CPU)


def test_the_least_time_is_that_of_bytes_or_of_operations() -> None:
    peaks = gpu.Peaks(bandwidth=10.0, speed=100.0)
    for moved, computed, least in ((50.0, 100.0, 5.0), (10.0, 300.0, 3.0)):
        assert peaks.least(gpu.Part("", lambda: None, lambda: None, moved, computed)) == least


def test_operations_of_attention_grow_with_the_square_of_the_length() -> None:
    one, two = (
        gpu.sasrec_operations(Windows(torch.zeros(1, n, dtype=torch.int64), torch.tensor([n]))) for n in (10, 20)
    )
    attention = two - 2 * one  # what is linear goes
    blocks, dim = gpu.sequential.BLOCKS, gpu.sequential.DIM
    assert attention == 3 * blocks * 4 * dim * (20**2 - 2 * 10**2)
