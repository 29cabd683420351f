"""Our LLMRec gives the reference implementation's figures, and the comparison notices when it does not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from augrec.artefacts.errors import AugrecError, DataError
from benchmarks.parity import compare, main
from benchmarks.result import run

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "llmrec"
RELEASE, EXPECTED = GOLDEN / "release", GOLDEN / "expected.npz"


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    with np.load(EXPECTED, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def changed(path: Path, arrays: dict[str, np.ndarray], **changes: np.ndarray | None) -> Path:
    kept = {name: array for name, array in {**arrays, **changes}.items() if array is not None}
    np.savez(path, **kept)
    return path


def hyper(arrays: dict[str, np.ndarray], **changes: object) -> np.ndarray:
    return np.array(json.dumps({**json.loads(str(arrays["hyper"])), **changes}))


def failed(expected: Path) -> set[str]:
    return {result.name for result in compare(RELEASE, expected) if result.ok is False}


def test_golden_figures(tmp_path: Path) -> None:
    assert main([str(RELEASE), str(EXPECTED), "--json", str(tmp_path / "out.json")]) == 0
    results = json.loads((tmp_path / "out.json").read_text())
    assert all(result.keys() == {"name", "value", "unit", "target", "ok"} for result in results)
    judged = {result["name"] for result in results if result["ok"]}
    for prefix, count in (
        ("forward/", 13),
        ("loss/", 6),
        ("trained/", 10),
        ("metrics_init/", 4),
        ("metrics_trained/", 4),
    ):
        assert sum(name.startswith(prefix) for name in judged) == count
    assert {result["name"] for result in results if result["ok"] is None} == {"metrics_init/auc", "metrics_trained/auc"}


def test_a_wrong_figure_is_found(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    wrong = {
        "forward/final_item": arrays["forward/final_item"] + 1e-3,
        "loss/modality_bpr_sum": arrays["loss/modality_bpr_sum"] * 1.0001,
        "trained/item_trans.bias": arrays["trained/item_trans.bias"] + 1e-4,
        "metrics_trained/recall": arrays["metrics_trained/recall"] + 1e-5,
    }
    path = changed(tmp_path / "wrong.npz", arrays, **wrong)
    assert failed(path) == {
        "forward/final_item", "loss/modality_bpr_sum", "trained/layers.attribute.bias", "metrics_trained/recall"
    }  # fmt: skip
    assert main([str(RELEASE), str(path)]) == 1


@pytest.mark.parametrize(
    ("setting", "value", "name"),
    [
        ("user_cat_rate", 1.0, "forward/final_user"),
        ("prune_loss_drop_rate", 0.5, "loss/bpr"),
        ("aug_mf_rate", 0.02, "loss/total"),
        ("batch_size", 140, "loss/inverse_l2"),
        ("lr", 0.001, "trained/item_embedding"),
    ],
)
def test_settings_are_the_files(
    tmp_path: Path, arrays: dict[str, np.ndarray], setting: str, value: float, name: str
) -> None:
    assert name in failed(changed(tmp_path / "other.npz", arrays, hyper=hyper(arrays, **{setting: value})))


def test_fewer_files_and_figures(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Without images and training, what is left is still compared: features of one kind do not touch another's."""
    release = tmp_path / "release"
    shutil.copytree(RELEASE, release)
    (release / "image_feat.npy").unlink()
    kept = {
        name: array for name, array in arrays.items()
        if "image" not in name and not name.startswith(("train", "loss", "batch", "metrics", "forward/final"))
    }  # fmt: skip
    results = compare(release, changed(tmp_path / "less.npz", kept))
    assert len(results) == 9
    assert all(result.ok for result in results)


@pytest.mark.parametrize("setting", ["drop_rate", "mask_rate"])
def test_randomness_cannot_be_replayed(tmp_path: Path, arrays: dict[str, np.ndarray], setting: str) -> None:
    path = changed(tmp_path / "random.npz", arrays, hyper=hyper(arrays, **{setting: 0.1}))
    with pytest.raises(AugrecError, match=rf"{setting} is 0.1.*cannot be replayed"):
        compare(RELEASE, path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hyper": None}, "'hyper' is missing"),
        ({"hyper": np.array("{}")}, "not usable: lr"),
        ({"init/user_id_embedding.weight": None}, "'init/user_id_embedding.weight' is missing"),
        ({"init/image_trans.bias": None}, "do not fit"),
        ({"init/text_trans.weight": np.ones((64, 3), np.float32)}, "do not fit"),
        ({"batch/users": np.array([0])}, "differ in shape"),
        ({"forward/final_user": np.ones((2, 2))}, r"shape \[2, 2\]"),
        ({"hyper": np.array([{}], dtype=object)}, "not a readable .npz"),
    ],
)
def test_unusable_files_say_why(
    tmp_path: Path, arrays: dict[str, np.ndarray], changes: dict[str, np.ndarray | None], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        compare(RELEASE, changed(tmp_path / "bad.npz", arrays, **changes))


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        ([], 2, "RELEASE_DIR"),
        ([str(RELEASE), "nowhere.npz"], 1, "nowhere.npz"),
        (["nowhere", str(EXPECTED)], 1, "nowhere"),
    ],
)
def test_command_line_errors(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    text: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        run(partial(main, arguments))
    assert ended.value.code == status
    assert text in capsys.readouterr().err


def test_the_command_is_a_program(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.parity", str(RELEASE), "nowhere.npz"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "nowhere.npz" in done.stderr
    assert "Traceback" not in done.stderr
