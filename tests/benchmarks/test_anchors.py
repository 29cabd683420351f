"""The anchors benchmark on a small released folder: what is compared, what is kept, and how it ends."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from augrec.artefacts.errors import UsageError
from augrec.artefacts.run_folder import RunFolder
from benchmarks import anchors
from benchmarks.anchors import ANCHORS, Anchor, Comparison, Data, compare, main
from recsys.data.dataset import Dataset

POPULARITY = {"family": "popularity"}


@pytest.fixture
def folder(tmp_path: Path, tastes: Dataset) -> Path:
    out = tmp_path / "release"
    out.mkdir()
    for split, name in (("train", "trn"), ("valid", "val"), ("test", "tst")):
        users, items = tastes.pairs(split).T
        matrix = sp.coo_matrix((np.ones(len(users)), (users, items)), shape=(60, 40))
        (out / f"{name}_mat.pkl").write_bytes(pickle.dumps(matrix))
    for name, size in (("usr", 60), ("itm", 40)):
        texts = {row: {"profile": f"text {row % 20}"} for row in range(size)}
        (out / f"{name}_prf.pkl").write_bytes(pickle.dumps(texts))
    return out


@pytest.fixture
def tastes() -> Dataset:
    """60 users x 40 items in two tastes."""
    rng = np.random.default_rng(5)
    parts: list[list[tuple[int, int]]] = [[], [], []]
    for user in range(60):
        items = rng.choice(np.arange(20) + 20 * (user % 2), size=12, replace=False)
        for part, chosen in zip(parts, np.split(items, [8, 10]), strict=True):
            part.extend((user, int(item)) for item in chosen)
    return Dataset.from_arrays(60, 40, *(np.array(part) for part in parts))


def run(
    folder: Path, chosen: Sequence[Anchor], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> tuple[int, list[dict[str, Any]]]:
    monkeypatch.setattr(anchors, "ANCHORS", tuple(chosen))
    out = folder.parent / "anchors.json"
    status = main([str(folder), "--cache", str(folder.parent / "cache"), "--json", str(out), *arguments])
    return status, json.loads(out.read_text())


def test_a_figure_within_its_band_passes_and_one_outside_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = Anchor("amazon-book pop", "amazon-book", POPULARITY, {"recall@20": 0.5}, 1.0)
    status, results = run(folder, [first], monkeypatch)
    assert status == 0
    ours = results[0]["value"]
    assert results[0] == {
        "name": "amazon-book pop recall@20",
        "value": ours,
        "unit": "",
        "target": "0.5 +- 1",
        "ok": True,
        "reference": 0.5,
        "difference": ours - 0.5,
    }
    wrong = Anchor("amazon-book pop", "amazon-book", POPULARITY, {"recall@20": ours + 0.002}, 0.001)
    vague = Anchor("amazon-book vague", "amazon-book", POPULARITY, {"recall@20": 0.0}, None)
    capsys.readouterr()
    status, results = run(folder, [wrong, vague], monkeypatch)
    assert status == 1
    assert [result["ok"] for result in results] == [False, None]
    assert "-0.0020" in capsys.readouterr().out
    assert run(folder, [wrong, vague], monkeypatch, "--only", "amazon-book vague")[0] == 0


def test_validation_items_stay_candidates_and_seeds_are_averaged(folder: Path) -> None:
    data = Data(folder, folder.parent / "cache")
    training = {"epochs": 2, "batch_size": 128, "threads": 1}
    model = {"family": "mf_bpr", "dim": 4}
    anchor = Anchor("amazon-book mf", "amazon-book", model, {"recall@20": 0.5}, 1.0, (1, 2, 3), training)
    (found,) = compare(anchor, data)
    values = []
    for seed in (1, 2, 3):
        metrics = json.loads(RunFolder(data.cache).training("amazon-book/mf", seed).metrics.read_text())
        values.append(metrics["test"]["recall@20"])
        assert not list(data.cache.rglob("*.safetensors"))
    assert found.ours == pytest.approx(sum(values) / 3)
    assert found.spread == pytest.approx(np.std(values, ddof=1))
    assert not anchors.EVALUATION.masks_validation


def test_texts_are_embedded_once_for_the_same_texts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = []

    class Fake:
        def __init__(self, options: Any, path: Path, sha256: str) -> None:
            self.settings = {"model_sha256": sha256}
            self.dim, self.pooling, self.block = 3, "mean", 64

        def encode(self, texts: Sequence[str], ticker: Any = None) -> np.ndarray:
            encoded.append(len(texts))
            return np.random.default_rng(0).normal(size=(len(texts), 3)).astype(np.float32)

        def cut(self, texts: Sequence[str]) -> int:
            return 0

    class Model:
        path, sha256 = Path("model"), "hash"

    monkeypatch.setattr(anchors, "SentenceEncoder", Fake)
    monkeypatch.setattr(anchors, "resolve", lambda name: Model)
    text = {"family": "ease_text", "l2": 2, "alpha": 1}
    anchor = Anchor("amazon-book text", "amazon-book", text, {"recall@20": 0.5}, 1.0, text=True)
    for _ in range(2):
        compare(anchor, Data(folder, folder.parent / "cache"))
    assert encoded == [20]
    (folder / "itm_prf.pkl").write_bytes(pickle.dumps({row: {"profile": f"new {row % 7}"} for row in range(40)}))
    compare(anchor, Data(folder, folder.parent / "cache"))
    assert encoded == [20, 7]


def test_an_unknown_anchor_is_named(folder: Path) -> None:
    with pytest.raises(UsageError, match="no anchor 'amazon-book eaze'"):
        main([str(folder), "--only", "amazon-book eaze"])


def test_every_anchor_has_usable_settings_and_a_band_is_a_band() -> None:
    assert len({anchor.name for anchor in ANCHORS}) == len(ANCHORS)
    for anchor in ANCHORS:
        anchors.FAMILIES.find(anchor.model["family"]).options.model_validate(anchor.model)
        anchors.TrainingOptions.model_validate(anchor.training or {})
    inside, outside = (Comparison("x", "recall@20", ours, None, 0.1477, 0.004) for ours in (0.1516, 0.1518))
    assert inside.result().ok
    assert outside.result().ok is False
    assert outside.difference == pytest.approx(0.0041)
