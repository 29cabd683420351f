"""Embedding models that lack numbers are refused, and options that decide a vector are heard."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from augrec.artefacts import versions
from augrec.artefacts.errors import DataError
from embed.encoder import SentenceEncoder
from embed.options import EmbeddingOptions

TEXTS = ["A love story", "War on two fronts", "A love story with many, many laughs and a happy end"]


@pytest.fixture
def folder(minilm_folder: Path, tmp_path: Path) -> Path:
    """A copy of MiniLM that does not scale its vectors itself."""
    copy = Path(shutil.copytree(minilm_folder, tmp_path / "model"))
    modules = json.loads((copy / "modules.json").read_text())
    (copy / "modules.json").write_text(json.dumps([one for one in modules if "Normalize" not in one["type"]]))
    return copy


def encoder(folder: Path, **options: object) -> SentenceEncoder:
    return SentenceEncoder(EmbeddingOptions(**options), folder, "0")


def change_weights(folder: Path, change: Callable[[dict], dict]) -> None:
    from safetensors.numpy import load_file, save_file

    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def without(part: str) -> Callable[[dict], dict]:
    return lambda content: {name: value for name, value in content.items() if part not in name}


def test_vectors_are_scaled_when_asked_and_only_then(folder: Path) -> None:
    plain = encoder(folder, normalise=False).encode(TEXTS)
    lengths = np.linalg.norm(plain, axis=1, keepdims=True)
    assert (np.abs(lengths - 1) > 0.05).all()
    np.testing.assert_allclose(encoder(folder, normalise=True).encode(TEXTS), plain / lengths, atol=1e-6)


@pytest.mark.parametrize("part", ["layer.3.", "layer.0.attention.self.key.weight", "embeddings.word_embeddings"])
def test_a_model_that_lacks_weights_is_refused(folder: Path, part: str) -> None:
    change_weights(folder, without(part))
    with pytest.raises(DataError, match=f"not the whole embedding model: .*{part}") as error:
        encoder(folder).encode(TEXTS)
    assert error.value.where == str(folder)


def test_a_pooler_that_no_vector_passes_through_may_be_missing(folder: Path, minilm: Callable) -> None:
    expected = encoder(folder).encode(TEXTS)
    change_weights(folder, without("pooler"))
    np.testing.assert_array_equal(encoder(folder).encode(TEXTS), expected)


def test_zeros_for_weights_are_refused(folder: Path) -> None:
    change_weights(folder, lambda content: {name: np.zeros_like(value) for name, value in content.items()})
    with pytest.raises(DataError, match="the same vector, or none"):
        encoder(folder).encode(TEXTS)


def test_weights_that_are_cut_short_are_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DataError, match="cannot be read"):
        encoder(folder).encode(TEXTS)


@pytest.mark.parametrize("package", ["torch", "transformers", "sentence-transformers"])
def test_versions_decide_by_their_first_two_numbers(
    tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settings(version: str) -> dict:
        monkeypatch.setattr(versions, "version", lambda name: version if name == package else "1.2.3")
        return encoder(tmp_path).settings

    assert settings("5.1.0+cpu") == settings("5.1.2")
    assert settings("5.1.0") != settings("5.2.0")
