"""Our RLMRec models give the figures of a second implementation, and the comparison notices when they do not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augrec.artefacts.errors import DataError
from benchmarks.parity_rlmrec import compare, main
from tests.benchmarks.rlmrec_reference import Arrays, reference

GOLDEN = "RLMREC_GOLDEN"
"""The variable that names a folder with `release/` and `expected.npz` made by the authors' code, where there is one."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Arrays]:
    return reference(tmp_path_factory.mktemp("rlmrec"))


def changed(made: tuple[Path, Path, Arrays], path: Path, **changes: Any) -> set[str]:
    """What fails, of the models concerned, when arrays are replaced; None leaves one out."""
    kept = {name: array for name, array in {**made[2], **changes}.items() if array is not None}
    np.savez(path, **kept)
    of_models = {name.partition("/")[0] for name in changes} - {"meta", "graph"}
    return {result.name for result in compare(made[0], path, sorted(of_models)) if result.ok is False}


def test_every_figure_of_the_second_implementation(made: tuple[Path, Path, Arrays], tmp_path: Path) -> None:
    release, expected, arrays = made
    assert main([str(release), str(expected), "--json", str(tmp_path / "out.json")]) == 0
    results = json.loads((tmp_path / "out.json").read_text())
    judged = {result["name"] for result in results if result["ok"]}
    kinds = (
        "forward",
        "train_forward",
        "part",
        "derived",
        "loss",
        "grad_norm",
        "trained",
        "forward_trained",
        "metrics",
    )
    wanted = {name for name in arrays if name.count("/") > 1 and name.split("/")[1].startswith(kinds)}
    assert wanted
    assert wanted <= judged


@pytest.mark.skipif(GOLDEN not in os.environ, reason=f"{GOLDEN} names no folder of the authors' figures")
def test_every_figure_of_the_authors_code() -> None:
    folder = Path(os.environ[GOLDEN])
    assert [result.name for result in compare(folder / "release", folder / "expected.npz") if result.ok is False] == []


def test_wrong_figures_are_found(made: tuple[Path, Path, Arrays], tmp_path: Path) -> None:
    arrays = made[2]
    names = (
        "lightgcn/forward/item",
        "lightgcn/train_forward/user",
        "lightgcn_plus/part/infonce",
        "lightgcn_plus/loss/kd",
        "lightgcn_gene/grad_norm/masker.mask_token",
        "lightgcn_gene/trained/mlp.0.bias",
        "lightgcn/metrics_trained/test/recall",
        "dccf/part/infonce",
        "dccf_gene/grad_norm/item_intent",
        "autocf_plus/loss/infomax",
        "autocf_gene/derived/2/scores",
        "autocf/derived/0/encoder_value",
        "autocf/derived/2/decoder_col",
    )
    assert changed(made, tmp_path / "wrong.npz", **{name: arrays[name] + 1e-3 for name in names}) == set(names)


@pytest.mark.parametrize(
    ("model", "setting", "value", "name"),
    [
        ("lightgcn", "layer_num", 2, "forward/user"),
        ("lightgcn", "reg_weight", 0.01, "loss/reg"),
        ("lightgcn_plus", "kd_temperature", 0.2, "part/infonce"),
        ("dccf", "temperature", 0.2, "part/infonce"),
        ("dccf_plus", "cl_weight", 0.1, "loss/cl"),
        ("autocf", "ssl_reg", 0.1, "loss/cl"),
        ("autocf_gene", "fix_steps", 3, "draws that are not used"),
        ("lightgcn_gene", "re_temperature", 0.2, "part/recon"),
    ],
)
def test_settings_are_the_files(
    made: tuple[Path, Path, Arrays], tmp_path: Path, model: str, setting: str, value: float, name: str
) -> None:
    hyper = json.loads(str(made[2][f"{model}/hyper"]))
    hyper["model"][setting] = value
    assert f"{model}/{name}" in changed(made, tmp_path / "other.npz", **{f"{model}/hyper": np.array(json.dumps(hyper))})


def test_the_order_of_entries_is_the_files(made: tuple[Path, Path, Arrays], tmp_path: Path) -> None:
    """Masks follow the entries of the graph, in whatever order these are stored."""
    arrays = made[2]
    order = np.random.default_rng(0).permutation(len(arrays["graph/row"]))
    shuffled = {f"graph/{part}": arrays[f"graph/{part}"][order] for part in ("row", "col", "value")}
    masks = {name: array[:, order] for name, array in arrays.items() if name.endswith("edge_keep")}
    assert changed(made, tmp_path / "other.npz", **shuffled, **masks) == set()
    assert "lightgcn/train_forward/user" in changed(made, tmp_path / "wrong.npz", **shuffled)


def test_a_draw_that_nobody_asks_for_is_found(made: tuple[Path, Path, Arrays], tmp_path: Path) -> None:
    masks = made[2]["lightgcn/draw/0/edge_keep"]
    found = changed(made, tmp_path / "more.npz", **{"lightgcn/draw/0/edge_keep": np.concatenate([masks, masks])})
    assert found == {"lightgcn/draws that are not used"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"meta": None}, "names no models"),
        ({"meta": np.array('{"models": ["magic"]}')}, "no model here for 'magic'"),
        ({"lightgcn/hyper": np.array("{")}, "no JSON object"),
        ({"lightgcn/hyper": np.array('{"model": {}}')}, "no setting model.embedding_size"),
        ({"lightgcn/param/user_embeds": None}, "do not fit"),
        ({"lightgcn/param/more": np.ones(3)}, "unknown parameter 'more'"),
        ({"lightgcn/draw/0/edge_keep": None}, "draw 'edges' is not recorded"),
        ({"autocf/draw/2/gumbel_uniform": None}, "draw 'noise' is not recorded"),
        ({"lightgcn_gene/draw/1/masked_nodes": np.arange(2)}, r"shape \[2\], and \[4\] is drawn here"),
        ({"graph/row": None}, "'graph/row' and 'graph/col'"),
        ({"meta": np.array([{}], dtype=object)}, "not a readable .npz"),
    ],
)
def test_unusable_files_say_why(
    made: tuple[Path, Path, Arrays], tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        changed(made, tmp_path / "bad.npz", **changes)


def test_only_models_of_the_file_are_chosen(made: tuple[Path, Path, Arrays]) -> None:
    found = compare(made[0], made[1], ["lightgcn_plus"])
    assert {result.name.partition("/")[0] for result in found} == {"lightgcn_plus"}
    with pytest.raises(DataError, match="no figures of 'lightgcn_minus'"):
        compare(made[0], made[1], ["lightgcn_minus"])
