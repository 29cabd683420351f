"""The real all-MiniLM-L6-v2, offline."""

import socket
import subprocess
import sys

import numpy as np
import pytest

from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.matrices import read_field
from embed.encoder import SentenceEncoder
from embed.matrices import embed_field
from embed.options import EmbeddingOptions

FILMS = [
    "A family of four explores space.",
    "Likes war films and political thrillers.",
    "Enjoys historical dramas about battles and soldiers.",
    "Romantic comedy",
    "A love story with many laughs",
    "Age: 25-34. Gender: female. Liked genres: Drama, War. " * 3,
]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_args):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def encoder(minilm):
    return minilm()


@pytest.fixture(scope="module")
def vectors(encoder):
    return encoder.encode(FILMS)


def test_vectors_are_unit_float32_rows(encoder, vectors):
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(FILMS), 384) == (len(FILMS), encoder.dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert encoder.pooling == "mean"


def test_like_meanings_are_near(vectors):
    similar = vectors @ vectors.T
    assert similar[1, 2] > similar[1, 3]
    assert similar[3, 4] > similar[3, 1]


def test_the_same_strings_give_the_same_bytes(encoder, vectors):
    assert encoder.encode(FILMS).tobytes() == vectors.tobytes()


def test_batch_size_and_order_do_not_matter(minilm, vectors):
    np.testing.assert_allclose(minilm(batch_size=1).encode(FILMS), vectors, atol=1e-5)
    np.testing.assert_allclose(minilm(batch_size=2).encode(FILMS[::-1])[::-1], vectors, atol=1e-5)


def test_the_prompt_is_part_of_the_text(minilm, encoder):
    np.testing.assert_allclose(minilm(prompt="query: ").encode(["love"]), encoder.encode(["query: love"]), atol=1e-6)


def test_long_texts_are_cut_and_counted(minilm):
    short = minilm(max_length=8)
    texts = ["one two three", "one two three four five six seven eight nine ten"]
    assert short.cut(texts) == 1
    ends = short.encode([texts[1], texts[1] + " eleven twelve"])
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-6)


def test_a_limit_above_the_models_is_refused(minilm):
    with pytest.raises(UsageError, match="256"):
        minilm(max_length=4096).encode(["a"])


def test_a_device_that_is_not_there_is_refused(minilm):
    with pytest.raises(UsageError, match="cuda:99"):
        minilm(device="cuda:99").encode(["a"])


def test_a_folder_that_is_no_model_is_named(tmp_path):
    with pytest.raises(DataError) as error:
        SentenceEncoder(EmbeddingOptions(), tmp_path, "0").encode(["a"])
    assert error.value.where == str(tmp_path)


def test_a_matrix_of_real_texts(minilm, tmp_path):
    texts = ["Drama", None, "Comedy", "Drama"]
    about = embed_field(minilm(), texts, tmp_path / "data" / "genres", source_sha256="s")
    values, _ = read_field(tmp_path / "data" / "genres")
    assert (about["distinct"], about["missing"], about["cut"]) == (2, [1], 0)
    np.testing.assert_array_equal(values[0], values[3])
    np.testing.assert_allclose(np.linalg.norm(values, axis=1), [1, 0, 1, 1], atol=1e-6)


def test_options_and_a_finished_field_need_no_torch():
    code = "import sys, embed.options, embed.encoder, embed.stage; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


@pytest.mark.parametrize("most", [1, 2, 4])
def test_threads_follow_free_cores_change_no_vector_and_are_put_back(minilm, vectors, most):
    torch = sys.modules["torch"]
    before = torch.get_num_threads()
    torch.set_num_threads(most)
    try:
        assert minilm().encode(FILMS).tobytes() == vectors.tobytes()
        assert torch.get_num_threads() == most
    finally:
        torch.set_num_threads(before)
