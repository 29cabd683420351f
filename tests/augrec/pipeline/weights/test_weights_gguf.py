"""A real GGUF file becomes a folder that transformers loads and that talks."""

import json
import socket
import threading

import numpy as np
import pytest
from safetensors.numpy import save_file

from augrec.artefacts.errors import DataError
from augrec.pipeline.weights import resolve
from augrec.pipeline.weights.hashes import HashCache
from tests.kit.machine_speed import patience
from tests.kit.real_parts import SMOLLM2


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def model(gguf_file, cache):
    """SmolLM2, converted once for this module, with the network shut."""
    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a socket was opened"))
    yield resolve(SMOLLM2, cache=cache)
    patch.undo()


def test_the_source_is_recorded(model, gguf_file):
    source = json.loads((model.path / "source.json").read_text())
    assert source["sha256"] == model.sha256 == HashCache(model.path / "none.json").sha256(gguf_file)
    assert source["bytes"] == gguf_file.stat().st_size
    assert source["name"] == gguf_file.name
    assert source["versions"]["gguf"]
    assert model.path.name == f"{gguf_file.stem}-{model.sha256[:12]}"


def test_nothing_half_done_is_left(model):
    assert [path for path in model.path.parent.iterdir() if path.name.endswith(".tmp")] == []


def test_the_converted_model_answers(model):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model.path, local_files_only=True)
    network = AutoModelForCausalLM.from_pretrained(model.path, local_files_only=True)
    assert network.dtype == torch.bfloat16
    question = [{"role": "user", "content": "What is the capital of France? Answer with one word."}]
    prompt = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = network.generate(**prompt, max_new_tokens=16, do_sample=False)
    text = tokenizer.decode(answer[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    assert "Paris" in text


def test_a_second_call_converts_nothing(model, cache, monkeypatch):
    import augrec.pipeline.weights.gguf as gguf

    monkeypatch.setattr(gguf, "convert", lambda *_: pytest.fail("converted again"))
    assert resolve(SMOLLM2, cache=cache) == model


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A source file, and a conversion that writes a whole folder and counts its calls."""
    import augrec.pipeline.weights.gguf as gguf

    source = tmp_path / "tiny.gguf"
    source.write_bytes(b"GGUF")
    calls = []

    def convert(_source, folder):
        calls.append(folder)
        for name in ("config.json", "tokenizer.json"):
            (folder / name).write_text("{}")
        save_file({"a": np.ones(1, np.float32)}, folder / "model.safetensors")

    monkeypatch.setattr(gguf, "convert", convert)
    return source, calls


def test_two_at_once_convert_once(fake, tmp_path, monkeypatch):
    import augrec.pipeline.weights.gguf as gguf

    source, calls = fake
    both = threading.Barrier(2)
    seen_absent = gguf.is_whole
    waiting = threading.local()

    def whole(folder):
        found = seen_absent(folder)
        if not getattr(waiting, "done", False):
            waiting.done = True
            both.wait(timeout=patience(30))
        return found

    monkeypatch.setattr(gguf, "is_whole", whole)
    folders = []
    workers = [threading.Thread(target=lambda: folders.append(resolve(str(source), cache=tmp_path))) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=patience(60))
    assert len(calls) == 1
    assert folders[0] == folders[1]


def test_a_failed_conversion_leaves_no_folder(fake, tmp_path, monkeypatch):
    import augrec.pipeline.weights.gguf as gguf

    source, _ = fake

    def fail(_source, folder):
        (folder / "config.json").write_text("{}")
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(gguf, "convert", fail)
        with pytest.raises(MemoryError):
            resolve(str(source), cache=tmp_path / "cache")
    assert [path for path in (tmp_path / "cache" / "models").iterdir() if path.is_dir()] == []
    assert resolve(str(source), cache=tmp_path / "cache").path.is_dir()


def test_what_a_killed_process_left_is_cleared_and_done_again(fake, tmp_path):
    source, calls = fake
    folder = resolve(str(source), cache=tmp_path).path
    (folder / "model.safetensors").unlink()
    left = folder.parent / f".{folder.name}.abc.tmp"
    left.mkdir()
    assert resolve(str(source), cache=tmp_path).path == folder
    assert (folder / "model.safetensors").is_file()
    assert not left.exists()
    assert len(calls) == 2


def test_a_file_that_only_looks_like_gguf_is_refused(tmp_path):
    pytest.importorskip("gguf")
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + bytes(64))
    with pytest.raises(DataError, match="cannot read this GGUF file") as error:
        resolve(str(tmp_path / "broken.gguf"), cache=tmp_path / "cache")
    assert error.value.where == str(tmp_path / "broken.gguf")
