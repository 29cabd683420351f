"""Folders and hub caches that hold less than a model are refused, and those that only look odd are read."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from augrec.artefacts.errors import DataError
from augrec.artefacts.model_files import read_tensor_header
from augrec.pipeline.weights import find_model, resolve
from augrec.pipeline.weights.hashes import HashCache

COMMIT, OTHER = "0123456789abcdef0123456789abcdef01234567", "f" * 40
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model in two shards, as far as names and headers go."""
    root = tmp_path / "model"
    root.mkdir()
    (root / "config.json").write_text("{}")
    (root / "tokenizer.json").write_text("{}")
    for name, tensor in zip(SHARDS, "ab", strict=True):
        save_file({tensor: np.ones(64, np.float32)}, root / name)
    index = {"weight_map": dict(zip("ab", SHARDS, strict=True))}
    (root / "model.safetensors.index.json").write_text(json.dumps(index))
    return root


@pytest.fixture
def hub(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache's folder of some/model, with links into blobs and without refs."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / "models--some--model"
    (repository / "blobs").mkdir(parents=True)
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    for number, path in enumerate(sorted(folder.iterdir())):
        path.rename(repository / "blobs" / str(number))
        (snapshot / path.name).symlink_to(Path("../../blobs") / str(number))
    return repository


def with_ref(text: str) -> Callable[[Path], None]:
    def write(hub: Path) -> None:
        (hub / "refs").mkdir()
        (hub / "refs" / "main").write_text(text)

    return write


@pytest.mark.parametrize(
    "change",
    [lambda hub: None, with_ref(COMMIT), with_ref(f"{COMMIT}\n"), with_ref(f" {COMMIT}\r\n"), with_ref("")],
    ids=["no refs", "a ref", "a newline", "white space", "an empty ref"],
)
@pytest.mark.parametrize("name", ["some/model", f"some/model@{COMMIT}", f"some/model@{COMMIT[:12]}", "some/model@main"])
def test_a_whole_snapshot_is_read_whatever_its_refs(hub: Path, tmp_path: Path, change: Callable, name: str) -> None:
    change(hub)
    model = resolve(name, cache=tmp_path)
    assert model.path == hub / "snapshots" / COMMIT
    assert model.source == f"hub some/model@{COMMIT}"


@pytest.mark.parametrize(("kept", "fault"), [(None, ""), (-30, "lacks the end of pytorch_model.bin")])
def test_a_pickled_file_that_is_cut_short_is_refused(
    folder: Path, tmp_path: Path, kept: int | None, fault: str
) -> None:
    for path in folder.glob("*.safetensors*"):
        path.unlink()
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w") as archive:  # as torch.save writes
        archive.writestr("archive/data.pkl", b"weights" * 100)
    (folder / "pytorch_model.bin").write_bytes((folder / "pytorch_model.bin").read_bytes()[:kept])
    if not fault:
        assert find_model(str(folder)) == folder
        return
    with pytest.raises(DataError, match=fault):
        find_model(str(folder))


def test_finding_a_model_reads_no_weights(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUGREC_CACHE", str(tmp_path / "cache"))
    assert find_model(str(folder)) == folder
    assert not (tmp_path / "cache").exists()
    (folder / SHARDS[1]).unlink()
    with pytest.raises(DataError, match=f"lacks {SHARDS[1]}"):
        find_model(str(folder))


def test_two_snapshots_without_refs_have_to_be_told_apart(hub: Path, tmp_path: Path) -> None:
    shutil.copytree(hub / "snapshots" / COMMIT, hub / "snapshots" / OTHER, symlinks=True)
    with pytest.raises(DataError, match="2 snapshots") as error:
        resolve("some/model", cache=tmp_path)
    assert f"some/model@{OTHER}" in str(error.value.remedy)
    assert resolve(f"some/model@{COMMIT}", cache=tmp_path).path.name == COMMIT


def test_a_ref_to_a_snapshot_that_is_not_there_is_no_other_snapshot(hub: Path, tmp_path: Path) -> None:
    with_ref(OTHER)(hub)
    with pytest.raises(DataError, match="nor in the Hugging Face cache"):
        resolve("some/model", cache=tmp_path)
    with pytest.raises(DataError, match=f"@v2 is neither.*{COMMIT}"):
        resolve("some/model@v2", cache=tmp_path)


def test_an_unfinished_download_is_refused(hub: Path, tmp_path: Path) -> None:
    left = hub / "blobs" / "9.incomplete"
    left.write_bytes(b"half")
    with pytest.raises(DataError, match="not finished") as error:
        resolve("some/model", cache=tmp_path)
    assert (error.value.where, "hf download some/model" in str(error.value.remedy)) == (str(left), True)


def test_a_link_to_nothing_is_missing(hub: Path, tmp_path: Path) -> None:
    link = hub / "snapshots" / COMMIT / "chat_template.jinja"
    link.symlink_to("../../blobs/absent")
    with pytest.raises(DataError, match=r"lacks chat_template\.jinja \(a link"):
        resolve("some/model", cache=tmp_path)


def cut(root: Path) -> None:
    os.truncate(root / SHARDS[1], (root / SHARDS[1]).stat().st_size - 1)


def lose_a_tensor(root: Path) -> None:
    save_file({"c": np.ones(64, np.float32)}, root / SHARDS[1])


def lose_index_and_shard(root: Path) -> None:
    (root / "model.safetensors.index.json").unlink()
    (root / SHARDS[0]).unlink()


def pointer(root: Path) -> None:
    (root / SHARDS[0]).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")


def unfinished(root: Path) -> None:
    left = root / ".cache" / "huggingface" / "download"
    left.mkdir(parents=True)
    (left / "x.incomplete").write_bytes(b"")


def unreadable_index(root: Path) -> None:
    (root / "model.safetensors.index.json").write_text('{"weight_map": {"a": 3}}')


def endless_index(root: Path) -> None:
    (root / "model.safetensors.index.json").write_text("[" * 100_000)


def endless_header(root: Path) -> None:
    (root / SHARDS[0]).write_bytes((100_000).to_bytes(8, "little") + b"[" * 100_000)


def cut_tokenizer_config(root: Path) -> None:
    (root / "tokenizer_config.json").write_text('{"chat_template": "{% for')


def no_header(root: Path) -> None:
    (root / SHARDS[0]).write_bytes(b"<html>not found</html>")


def cut_header(root: Path) -> None:
    os.truncate(root / SHARDS[0], 20)


def odd_modules(root: Path) -> None:
    (root / "modules.json").write_text('[{"path": 1}]')


def without_modules(root: Path) -> None:
    (root / "config_sentence_transformers.json").write_text("{}")


def dense_without_weights(root: Path) -> None:
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Dense": "Dense"}
    modules = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in kinds.items()]
    (root / "modules.json").write_text(json.dumps(modules))
    for path in ("1_Pooling", "2_Dense"):
        (root / path).mkdir()
        (root / path / "config.json").write_text("{}")


@pytest.mark.parametrize(
    ("change", "lack"),
    [
        (dense_without_weights, "weights in 2_Dense"),
        (cut, f"the end of {SHARDS[1]}"),
        (lose_a_tensor, r"tensors that its index promises .*\(b\)"),
        (lose_index_and_shard, SHARDS[0]),
        (pointer, f"the content of {SHARDS[0]}, which is a Git LFS pointer"),
        (no_header, f"a readable header in {SHARDS[0]}"),
        (cut_header, f"a readable header in {SHARDS[0]}"),
        (unfinished, "rest of a download"),
        (unreadable_index, "a readable model.safetensors.index.json"),
        (endless_index, "a readable model.safetensors.index.json"),
        (without_modules, "modules.json"),
        (odd_modules, "a readable modules.json"),
        (cut_tokenizer_config, "the end of tokenizer_config.json"),
    ],
)
def test_a_folder_that_holds_less_than_it_names_is_refused(
    folder: Path, tmp_path: Path, change: Callable[[Path], None], lack: str
) -> None:
    assert resolve(str(folder), cache=tmp_path).path == folder
    change(folder)
    with pytest.raises(DataError, match=f"lacks .*{lack}"):
        resolve(str(folder), cache=tmp_path)


def test_a_header_nested_without_end_is_no_safetensors_header(folder: Path) -> None:
    assert read_tensor_header(folder / SHARDS[0]) is not None
    endless_header(folder)
    assert read_tensor_header(folder / SHARDS[0]) is None


def in_place(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def by_rename(path: Path, content: bytes) -> None:
    path.with_suffix(".new").write_bytes(content)
    path.with_suffix(".new").rename(path)


@pytest.mark.parametrize("exchange", [in_place, by_rename])
def test_weights_exchanged_under_the_same_size_and_time_have_another_hash(
    tmp_path: Path, exchange: Callable[[Path, bytes], None]
) -> None:
    weights, hashes = tmp_path / "weights.bin", tmp_path / "hashes.json"
    weights.write_bytes(bytes(2 << 20))
    before = weights.stat()
    first = HashCache(hashes).sha256(weights)
    exchange(weights, b"\1" * (2 << 20))
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (weights.stat().st_size, weights.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert HashCache(hashes).sha256(weights) != first


def test_hashes_of_another_version_are_read_again(tmp_path: Path) -> None:
    weights, hashes = tmp_path / "weights.bin", tmp_path / "hashes.json"
    weights.write_bytes(bytes(2 << 20))
    stat = weights.stat()
    hashes.write_text(json.dumps({str(weights): [stat.st_size, stat.st_mtime_ns, "stale"]}))
    assert HashCache(hashes).sha256(weights) != "stale"
