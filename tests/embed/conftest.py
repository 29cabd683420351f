import numpy as np
import pytest

from augrec.artefacts.errors import DataError
from augrec.pipeline.weights import resolve
from embed.encoder import SentenceEncoder
from embed.options import EmbeddingOptions


class CountingEncoder:
    """Vectors of characters, and a list of every string it was asked for."""

    dim = 4
    pooling = "none"
    block = 2

    def __init__(self, **settings):
        self.settings = {"model": "counting", "model_sha256": "0", **settings}
        self.asked = []

    def encode(self, texts, ticker=None):
        self.asked += texts
        return np.array([[len(text), ord(text[0]), ord(text[-1]), 1] for text in texts], dtype=np.float32)

    def cut(self, texts):
        return 0


@pytest.fixture
def counting():
    """The class of an encoder that records what it is asked for."""
    return CountingEncoder


@pytest.fixture(scope="session")
def minilm_weights(tmp_path_factory):
    """all-MiniLM-L6-v2 as it was resolved."""
    try:
        return resolve(EmbeddingOptions().model, cache=tmp_path_factory.mktemp("cache"))
    except DataError as error:
        pytest.skip(error.what)


@pytest.fixture(scope="session")
def minilm_folder(minilm_weights):
    """Its folder."""
    return minilm_weights.path


@pytest.fixture(scope="session")
def minilm(minilm_weights):
    """It as an encoder, for any options."""
    path, sha256 = minilm_weights.path, minilm_weights.sha256
    return lambda **options: SentenceEncoder(EmbeddingOptions(**options), path, sha256)
