"""The encoder around a BERT of one layer and drawn weights, which is loaded in milliseconds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from augrec.artefacts.errors import DataError, UsageError
from embed.encoder import CANARIES, SentenceEncoder, batches_of_like_length
from embed.options import EmbeddingOptions

WORDS = sorted(
    {word for text in CANARIES for word in text.lower().strip(".").replace(",", "").replace(".", "").split()}
)
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", "text", "war", "love", "odd", "query", *WORDS]
LIMIT = 12


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of transformers; vectors are shorter than 1, and the one of `odd` is not finite."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("small")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    config = BertConfig(
        vocab_size=len(VOCABULARY), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=LIMIT,
    )  # fmt: skip
    torch.manual_seed(0)
    model = BertModel(config)
    with torch.no_grad():
        model.encoder.layer[0].output.LayerNorm.weight.fill_(0.1)
        model.embeddings.word_embeddings.weight[VOCABULARY.index("odd")] = float("nan")
    model.save_pretrained(folder)
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=LIMIT).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def small(made: Path) -> Callable[..., SentenceEncoder]:
    """The encoder with some options."""
    return lambda **options: SentenceEncoder(EmbeddingOptions(model="small", device="cpu", **options), made, "abc")


@pytest.fixture(scope="module")
def plain(small: Callable[..., SentenceEncoder]) -> SentenceEncoder:
    return small(normalise=False)


TEXTS = ["love", "war war war love", "", "war love", "love war love war war", "war", "sea"]


def test_what_decides_the_vectors_is_said(small: Callable[..., SentenceEncoder]) -> None:
    said = small(prompt="query ", max_length=9, normalise=False, dtype="bfloat16").settings
    versions = said.pop("versions")
    assert set(versions) == {"sentence-transformers", "transformers", "torch"}
    assert said == {
        "model": "small", "model_sha256": "abc", "normalised": False, "prompt": "query ", "max_length": 9,
        "dtype": "bfloat16",
    }  # fmt: skip


def test_vectors_stand_where_their_texts_do_and_the_longest_come_first(
    plain: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = np.concatenate([plain.encode([text]) for text in TEXTS])
    assert alone.shape == (len(TEXTS), plain.dim) == (7, 8)
    assert plain.pooling == "mean"
    monkeypatch.setattr(SentenceEncoder, "block", 3)
    done: list[int] = []
    values = plain.encode(TEXTS, SimpleNamespace(advance=done.append))  # type: ignore[arg-type]
    assert done == [3, 3, 1]
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, alone, atol=1e-6)
    with pytest.raises(DataError, match="the embedding of 'odd' is not finite"):
        plain.encode(["war", "love love", "odd", "love war"])
    shown = "love odd " * 30
    with pytest.raises(DataError) as error:  # of two the longer one is named, which comes first
        plain.encode(["war", "odd", shown, "love war"])
    assert error.value.what == f"the embedding of {shown[:80]!r} is not finite"


def test_nothing_to_encode_has_no_rows(plain: SentenceEncoder) -> None:
    assert plain.encode([]).shape == (0, 8)
    assert plain.encode([]).dtype == np.float32


def test_of_equally_long_texts_the_first_by_letters_comes_first(
    plain: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SentenceEncoder, "block", 1)
    with pytest.raises(DataError, match="'odd odd'"):
        plain.encode(["war odd", "odd odd"])


def test_vectors_shorter_than_one_are_scaled_as_well(
    plain: SentenceEncoder, small: Callable[..., SentenceEncoder]
) -> None:
    values = plain.encode(TEXTS)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    assert (lengths < 0.9).all()
    np.testing.assert_allclose(small().encode(TEXTS), values / lengths, atol=1e-6)


@pytest.mark.parametrize(("batch_size", "block"), [(1, 512), (512, 512), (700, 700)])
def test_a_block_holds_a_batch_or_more(small: Callable[..., SentenceEncoder], batch_size: int, block: int) -> None:
    assert small(batch_size=batch_size).block == block


def test_texts_that_are_longer_than_what_is_read_are_counted(
    plain: SentenceEncoder, small: Callable[..., SentenceEncoder]
) -> None:
    texts = ["war " * n for n in (LIMIT - 3, LIMIT - 2, LIMIT - 1, LIMIT + 5)]  # two more tokens stand around them
    assert plain.cut(texts) == 2
    assert plain.cut([]) == 0
    assert small(prompt="query ").cut(texts) == 3
    assert small(max_length=5).cut(["war war war", "war war war war"]) == 1


@pytest.mark.parametrize(("most", "fits"), [(LIMIT, True), (LIMIT + 1, False)])
def test_no_more_is_read_than_the_model_can(small: Callable[..., SentenceEncoder], most: int, fits: bool) -> None:
    if fits:
        assert small(max_length=most).encode(["war"]).shape == (1, 8)
    else:
        with pytest.raises(UsageError, match=f"max_length {most} is more than the {LIMIT} tokens"):
            small(max_length=most).encode(["war"])


@pytest.mark.parametrize(
    ("device", "there", "taken"),
    [("auto", 0, "cpu"), ("auto", 2, "cuda"), ("cpu", 2, "cpu"), ("cuda", 1, "cuda"), ("cuda:1", 2, "cuda:1"),
     ("cuda", 0, None), ("cuda:0", 0, None), ("cuda:2", 2, None)],
)  # fmt: skip
def test_a_device_that_is_asked_for_is_taken_where_it_is_there(
    made: Path, monkeypatch: pytest.MonkeyPatch, device: str, there: int, taken: str | None
) -> None:
    import torch

    loaded: list[object] = []

    def load(*_: object, device: str, **_others: object) -> None:
        loaded.append(device)
        raise OSError("far enough")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: there > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    monkeypatch.setattr("sentence_transformers.SentenceTransformer", load)
    expected = (DataError, "far enough") if taken else (UsageError, f"no device {device}: torch sees {there}")
    with pytest.raises(expected[0], match=expected[1]):
        SentenceEncoder(EmbeddingOptions(device=device), made, "0").encode(["war"])
    assert loaded == ([taken] if taken else [])


def test_the_folder_of_the_first_module_is_looked_at(made: Path, tmp_path: Path) -> None:
    (tmp_path / "inner").symlink_to(made)
    pooling = {"word_embedding_dimension": 8, "pooling_mode_mean_tokens": True}
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    first = {"idx": 0, "name": "0", "path": "inner", "type": "sentence_transformers.models.Transformer"}
    second = {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
    (tmp_path / "modules.json").write_text(json.dumps([first, second]))
    whole = SentenceEncoder(EmbeddingOptions(device="cpu"), tmp_path, "0").encode(["war"])
    assert whole.shape == (1, 8)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_bytes((made / "config.json").read_bytes())
    weights = {name: value for name, value in load_file(made / "model.safetensors").items() if "layer.0." not in name}
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "modules.json").write_text(json.dumps([first | {"path": "broken"}, second]))
    with pytest.raises(DataError, match="not the whole embedding model") as error:
        SentenceEncoder(EmbeddingOptions(device="cpu"), tmp_path, "0").encode(["war"])
    assert error.value.where == str(broken)


class Said:
    """A model whose vectors are these, whatever it reads; of `others` where it reads no canaries."""

    device = SimpleNamespace(type="cpu")
    tokenizer, max_seq_length = None, None

    def __init__(self, canaries: list[list[float]], others: list[list[float]]) -> None:
        self._canaries, self._others = canaries, others

    def eval(self) -> Said:
        return self

    def encode(self, texts: list[str], **_: object) -> np.ndarray:
        return np.array(self._canaries if texts == [*CANARIES] else self._others)


@pytest.mark.parametrize(
    ("vectors", "sound"),
    [
        ([[1, 2], [2, 1]], True),
        ([[0, 2], [2, 0]], True),
        ([[1, 2], [1, 2]], False),
        ([[0, 0], [1, 2]], False),
        ([[1, 2], [0, 0]], False),
        ([[np.nan, 2], [1, 2]], False),
    ],
)
def test_a_model_that_tells_two_texts_apart_is_sound(
    made: Path, monkeypatch: pytest.MonkeyPatch, vectors: list[list[float]], sound: bool
) -> None:
    monkeypatch.setattr("sentence_transformers.SentenceTransformer", lambda *_, **__: Said(vectors, [[7, 8]]))
    found = SentenceEncoder(EmbeddingOptions(normalise=False, device="cpu"), made, "0")
    if sound:
        assert found.encode(["x"]).tolist() == [[7, 8]]
        assert found.cut(["x"]) == 0
    else:
        with pytest.raises(DataError, match="the same vector, or none"):
            found.encode(["x"])


def test_a_vector_of_zeros_stays_one(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = Said([[1, 2], [2, 1]], [[3, 4], [0, 0]])
    monkeypatch.setattr("sentence_transformers.SentenceTransformer", lambda *_, **__: said)
    found = SentenceEncoder(EmbeddingOptions(device="cpu"), made, "0").encode(["x", "y"])
    np.testing.assert_allclose(found, [[0.6, 0.8], [0, 0]], rtol=1e-6)


class Words(Said):
    """A model whose tokens are words, at most five, and whose vector is their number; what it was asked is kept."""

    max_seq_length = 5

    def __init__(self, device: str) -> None:
        self.device = SimpleNamespace(type=device)
        self.together: list[list[str]] = []
        self.counted: list[list[str]] = []

    def tokenizer(self, texts: list[str], **_: object) -> dict[str, list[list[str]]]:  # type: ignore[override]
        self.counted.append(texts)
        return {"input_ids": [text.split() for text in texts]}

    def encode(self, texts: list[str], **_: object) -> np.ndarray:
        self.together.append(list(texts))
        return np.array([[len(text.split()), len(text)] for text in texts], dtype=np.float32)


UNLIKE = ["a a a a a a", "lighthouse keepers", "a a a a a", "opera", "b b b b b", "sea war"]


@pytest.mark.parametrize(
    ("device", "together"),
    [
        ("cpu", [["a a a a a a", "a a a a a"], ["b b b b b"], ["lighthouse keepers", "sea war"], ["opera"]]),
        ("cuda", [["a a a a a a", "a a a a a"], ["b b b b b", "lighthouse keepers"], ["sea war", "opera"]]),
    ],
)
def test_texts_of_like_tokens_are_encoded_together_and_their_tokens_counted_once(
    made: Path, monkeypatch: pytest.MonkeyPatch, device: str, together: list[list[str]]
) -> None:
    model = Words(device)
    monkeypatch.setattr("sentence_transformers.SentenceTransformer", lambda *_, **__: model)
    encoder = SentenceEncoder(EmbeddingOptions(device="cpu", batch_size=2, normalise=False), made, "0")
    np.testing.assert_array_equal(encoder.encode(UNLIKE), [[len(text.split()), len(text)] for text in UNLIKE])
    canaries, *batches = model.together
    assert canaries == [*CANARIES]
    assert batches == together
    counted = len(model.counted)
    longest_first = sorted(UNLIKE, key=lambda text: (-len(text), text))
    assert encoder.cut(longest_first) == 1
    assert len(model.counted) == counted == 1
    assert encoder.cut(UNLIKE[:1]) == 1


def test_of_a_batch_on_a_cpu_a_sixteenth_is_padding_at_most(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Words("cpu")
    monkeypatch.setattr(model, "max_seq_length", 16)
    monkeypatch.setattr("sentence_transformers.SentenceTransformer", lambda *_, **__: model)
    texts = [" ".join("a" * tokens) for tokens in (16, 15, 11, 10)]
    SentenceEncoder(EmbeddingOptions(device="cpu"), made, "0").encode(texts)
    assert model.together[1:] == [texts[:2], texts[2:3], texts[3:]]


def test_of_vectors_the_first_with_any_number_that_is_not_finite_is_named(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Said([[1, 2], [2, 1]], [[3, 4], [np.nan, 2], [np.inf, np.nan]])
    monkeypatch.setattr("sentence_transformers.SentenceTransformer", lambda *_, **__: said)
    with pytest.raises(DataError, match="the embedding of 'b' is not finite"):
        SentenceEncoder(EmbeddingOptions(device="cpu"), made, "0").encode(["a", "b", "c"])


def test_a_model_is_loaded_without_network_and_without_a_bar(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.utils import logging

    logging.enable_progress_bar()
    monkeypatch.setenv("HF_HUB_OFFLINE", "")  # so that what is set below is taken back
    monkeypatch.delenv("HF_HUB_OFFLINE")
    asked: list[tuple[object, str | None]] = []

    def load(*_: object, local_files_only: object, **_others: object) -> Said:
        asked.append((local_files_only, os.environ.get("HF_HUB_OFFLINE")))
        return Said([[1, 2], [2, 1]], [[7, 8]])

    monkeypatch.setattr("sentence_transformers.SentenceTransformer", load)
    SentenceEncoder(EmbeddingOptions(device="cpu"), made, "0").encode(["x"])
    assert asked == [(True, "1")]
    assert not logging.is_progress_bar_enabled()


@pytest.mark.parametrize(
    ("modules", "name"),
    [
        ([{}], "own"),
        ([{}, {"pooling_mode": "max"}], "max"),
        ([{"pooling_mode": ("cls", "mean")}], "cls+mean"),
        ([{"get_pooling_mode_str": lambda: "lasttoken"}], "lasttoken"),
        ([{"pooling_mode": "max", "get_pooling_mode_str": lambda: "mean"}], "max"),
    ],
)
def test_pooling_is_what_the_first_module_says_that_says_it(
    made: Path, monkeypatch: pytest.MonkeyPatch, modules: list[dict[str, object]], name: str
) -> None:
    class Modules(Said):
        def __iter__(self) -> Iterator[SimpleNamespace]:
            return (SimpleNamespace(**module) for module in modules)

    model = Modules([[1, 2], [2, 1]], [])
    monkeypatch.setattr("sentence_transformers.SentenceTransformer", lambda *_, **__: model)
    assert SentenceEncoder(EmbeddingOptions(device="cpu"), made, "0").pooling == name


@pytest.mark.parametrize(
    ("device", "dtype", "looks"), [("cpu", "float32", 2), ("cpu", "bfloat16", 0), ("cuda", "float32", 0)]
)
def test_free_cores_are_looked_for_before_every_block_and_the_threads_put_back(
    made: Path, monkeypatch: pytest.MonkeyPatch, device: str, dtype: str, looks: int
) -> None:
    import torch

    before, done = torch.get_num_threads(), list[str]()

    class MoreThreads:
        def __init__(self, *_: object) -> None:
            pass

        def resume(self) -> None:
            done.append("resume")
            torch.set_num_threads(before + 1)

        def look(self) -> None:
            done.append("look")

    model = Words(device)
    monkeypatch.setattr("embed.encoder.Threads", MoreThreads)
    monkeypatch.setattr("sentence_transformers.SentenceTransformer", lambda *_, **__: model)
    monkeypatch.setattr(SentenceEncoder, "block", 2)
    options = EmbeddingOptions(device="cpu", dtype=dtype)  # type: ignore[arg-type]
    SentenceEncoder(options, made, "0").encode(["a a", "b", "c"])
    assert done == ["resume"] * (looks > 0) + ["look"] * looks
    assert torch.get_num_threads() == before


def test_no_text_is_much_shorter_than_the_longest_beside_it() -> None:
    lengths = np.random.default_rng(0).integers(0, 40, 200)
    batches = batches_of_like_length(lengths, 7, 0.75)
    np.testing.assert_array_equal(np.sort(np.concatenate(batches)), np.arange(200))
    for rows, after in zip(batches, [*batches[1:], None], strict=True):
        longest = lengths[rows[0]]
        assert len(rows) <= 7
        assert lengths[rows].min() >= 0.75 * longest
        assert (
            after is None or len(rows) == 7 or lengths[after[0]] < 0.75 * longest
        )  # no batch is smaller than it need be
