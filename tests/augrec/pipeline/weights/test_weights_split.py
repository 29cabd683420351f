"""A GGUF file counts as a model only if the whole model is in it, or in the parts beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gguf_files import LAYERS, SIZES, split_gguf, tiny_tensors, write_gguf

from augrec.artefacts.errors import DataError
from augrec.pipeline.weights import find_model, resolve


@pytest.fixture(scope="module")
def tensors() -> dict[str, np.ndarray]:
    return tiny_tensors(np.random.default_rng(0))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, gguf_file: Path, tensors: dict[str, np.ndarray]) -> dict[str, Path]:
    """The same small model in one file ("whole"), and in two parts ("first", "second")."""
    folder = tmp_path_factory.mktemp("made")
    first, second = split_gguf(folder, "tiny", gguf_file, tensors, fields=SIZES)
    return {
        "whole": write_gguf(folder / "whole.gguf", gguf_file, tensors, fields=SIZES),
        "first": first,
        "second": second,
    }


def conversions(cache: Path) -> list[Path]:
    return sorted(cache.glob("models/**/*.safetensors"))


def test_a_split_model_is_read_from_all_its_parts(made: dict[str, Path], tmp_path: Path) -> None:
    whole, parts = resolve(str(made["whole"]), cache=tmp_path), resolve(str(made["second"]), cache=tmp_path)
    first = resolve(str(made["first"]), cache=tmp_path)
    assert (first.path, first.sha256) == (parts.path, parts.sha256)
    assert parts.path.name == f"tiny-{parts.sha256[:12]}"
    assert parts.sha256 != whole.sha256
    assert not list(parts.path.glob("*.gguf"))
    one, two = (load_numbers(model.path) for model in (whole, parts))
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)


def load_numbers(folder: Path) -> dict[str, np.ndarray]:
    import torch
    from safetensors.torch import load_file

    return {name: value.to(torch.float32).numpy() for name, value in load_file(folder / "model.safetensors").items()}


def alone(made: dict[str, Path], part: str, folder: Path) -> Path:
    target = folder / made[part].name
    target.write_bytes(made[part].read_bytes())
    return target


@pytest.mark.parametrize("part", ["first", "second"])
def test_one_part_of_a_split_is_refused_and_nothing_is_kept(made: dict[str, Path], tmp_path: Path, part: str) -> None:
    source = alone(made, part, tmp_path)
    for _ in range(2):
        with pytest.raises(DataError, match="one of 2 parts") as error:
            resolve(str(source), cache=tmp_path / "cache")
        assert "--merge" in str(error.value.remedy)
    assert not conversions(tmp_path / "cache")


def test_a_part_under_another_name_is_refused(made: dict[str, Path], tmp_path: Path) -> None:
    source = alone(made, "first", tmp_path).rename(tmp_path / "renamed.gguf")
    with pytest.raises(DataError, match="part 1 of 2"):
        resolve(str(source), cache=tmp_path / "cache")


def without(names: Callable[[str], bool]) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    return lambda tensors: {name: value for name, value in tensors.items() if not names(name)}


@pytest.mark.parametrize(
    "change",
    [
        without(lambda name: name.startswith(f"blk.{LAYERS - 1}.")),
        without(lambda name: name == "blk.1.attn_k.weight"),
        without(lambda name: name == "output_norm.weight"),
        without(lambda name: name == "token_embd.weight"),
        lambda tensors: tensors | {"blk.0.ffn_up.weight": tensors["blk.0.ffn_up.weight"][:32]},
    ],
    ids=["layers", "one tensor", "norm", "embedding", "shape"],
)
def test_a_file_without_every_tensor_is_refused_and_nothing_is_kept(
    change: Callable, gguf_file: Path, tensors: dict[str, np.ndarray], tmp_path: Path
) -> None:
    source = write_gguf(tmp_path / "lacking.gguf", gguf_file, change(tensors), fields=SIZES)
    with pytest.raises(DataError, match=r"not the whole model|cannot read this GGUF") as error:
        resolve(str(source), cache=tmp_path / "cache")
    assert error.value.where == str(source)
    assert not conversions(tmp_path / "cache")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_a_file_that_is_cut_short_is_refused(made: dict[str, Path], tmp_path: Path, share: float) -> None:
    content = made["whole"].read_bytes()
    source = tmp_path / "cut.gguf"
    source.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"cut short|ends inside its header"):
        resolve(str(source), cache=tmp_path / "cache")
    assert not conversions(tmp_path / "cache")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"GGUF", b"<htm", "does not begin with GGUF"),
        (b"GGUF", b"vers", "does not begin with GGUF"),
        (b"GGUF\x03\0\0\0", b"GGUF\x01\0\0\0", "layout has version 1, and 2 and 3 are known"),
        (b"GGUF\x03\0\0\0", b"GGUF\0\0\0\x03", "big-endian"),
        (b"\x14\0\0\0\0\0\0\0general.architecture", b"\x14\0\0\0\0\0\0\0another.architecture", "which architecture"),
    ],
)
def test_a_file_of_no_model_is_seen_before_anything_is_converted(
    made: dict[str, Path], tmp_path: Path, old: bytes, new: bytes, said: str
) -> None:
    source = tmp_path / "rubbish.gguf"
    source.write_bytes(made["whole"].read_bytes().replace(old, new, 1))
    with pytest.raises(DataError, match=said) as error:
        find_model(str(source))
    assert (error.value.where, "download it again" in str(error.value.remedy)) == (str(source), True)


def test_an_adapter_and_a_header_alone_are_no_models(gguf_file: Path, tensors: dict, tmp_path: Path) -> None:
    adapter = write_gguf(tmp_path / "a.gguf", gguf_file, tensors)
    kind = b"general.type\x08\0\0\0\x05\0\0\0\0\0\0\0"
    adapter.write_bytes(adapter.read_bytes().replace(kind + b"model", kind + b"lo-ra"))
    with pytest.raises(DataError, match=r"type 'lo-ra' \(general\.type\), and no model"):
        find_model(str(adapter))
    with pytest.raises(DataError, match="holds no tensors"):
        find_model(str(write_gguf(tmp_path / "empty.gguf", gguf_file, {})))


def test_another_version_converts_for_itself(
    made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from augrec.artefacts import versions

    real = versions.version
    first = resolve(str(made["whole"]), cache=tmp_path)
    monkeypatch.setattr(versions, "version", lambda name: "99.1.0" if name == "transformers" else real(name))
    second = resolve(str(made["whole"]), cache=tmp_path)
    assert second.path != first.path
    assert second.sha256 == first.sha256
    assert json.loads((second.path / "source.json").read_text())["versions"]["transformers"] == "99.1.0"
    assert (first.path / "model.safetensors").is_file()
    monkeypatch.setattr(versions, "version", lambda name: "99.1.7" if name == "transformers" else real(name))
    assert resolve(str(made["whole"]), cache=tmp_path).path == second.path, "a patch converts nothing anew"


def test_factors_that_are_not_read_are_said(
    gguf_file: Path, tensors: dict[str, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    factors = {"rope_freqs.weight": np.ones(4, np.float32)}
    resolve(str(write_gguf(tmp_path / "far.gguf", gguf_file, tensors | factors, fields=SIZES)), cache=tmp_path)
    assert "far.gguf stretches its positions" in capsys.readouterr().err
