"""A field that is encoded in blocks: what was encoded before a kill stays, and is not encoded again."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from augrec.artefacts.matrices import blocks_of, read_field
from embed.blocks import KeptBlocks
from embed.lexical import LexicalEncoder
from embed.matrices import embed_field
from embed.options import EmbeddingOptions

TEXTS = ["bb", None, "a", "dddd", "bb", "ccc", "a", "eeeee", "f"]  # six distinct, three blocks of two
DYING = """
import os, signal, sys
from pathlib import Path
from embed.matrices import embed_field
from tests.embed.conftest import CountingEncoder

class Dying(CountingEncoder):
    def encode(self, texts, ticker=None):
        if len(self.asked) == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode(texts, ticker)

embed_field(Dying(), eval(sys.argv[3]), Path(sys.argv[1]), source_sha256="s")
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    stem = tmp_path_factory.mktemp("killed") / "llm" / "director"
    process = subprocess.run([sys.executable, "-c", DYING, str(stem), "4", repr(TEXTS)], check=False)
    assert process.returncode == -9
    assert len(list(blocks_of(stem).iterdir())) == 2
    assert not stem.with_suffix(".json").exists()
    return stem


@pytest.fixture
def begun(killed, tmp_path):
    """A field whose encoding was killed in its third block."""
    return shutil.copytree(killed.parent, tmp_path / "llm") / killed.name


def test_a_killed_field_goes_on_where_it_was(begun, tmp_path, counting):
    encoder = counting()
    about = embed_field(encoder, TEXTS, begun, source_sha256="s")
    assert encoder.asked == ["a", "f"]
    values, _ = read_field(begun)
    whole = counting()
    assert embed_field(whole, TEXTS, tmp_path / "whole" / "director", source_sha256="s") == about | {"group": "whole"}
    assert sorted(whole.asked) == sorted({text for text in TEXTS if text})
    assert values.tobytes() == read_field(tmp_path / "whole" / "director")[0].tobytes()
    assert [path.name for path in sorted(begun.parent.iterdir())] == ["director.json", "director.npy"]


@pytest.mark.parametrize(
    ("settings", "texts", "again"),
    [
        ({"model_sha256": "1"}, TEXTS, ["eeeee", "dddd", "ccc", "bb", "a", "f"]),
        ({}, [*TEXTS, "z"], ["a", "f", "z"]),  # the longest stand first, and are what they were
        ({}, ["ccc", *TEXTS[:7], "f"], ["dddd", "ccc", "bb", "a", "f"]),
    ],
)
def test_other_texts_or_another_model_take_no_block_that_is_not_theirs(begun, counting, settings, texts, again):
    encoder = counting(**settings)
    embed_field(encoder, texts, begun, source_sha256="s")
    assert encoder.asked == again
    expected = counting().encode([text or "-" for text in texts]) * np.array([[text is not None] for text in texts])
    np.testing.assert_array_equal(read_field(begun)[0], expected)


class Ticks:
    skipped = 0

    def skip(self, count):
        self.skipped += count


def test_what_was_kept_is_passed_over_before_the_field_is_put_together(begun, counting):
    encoder, ticks = counting(), Ticks()
    KeptBlocks(encoder, list({text for text in TEXTS if text}), blocks_of(begun)).encode(ticks)
    assert encoder.asked == ["a", "f"]
    assert ticks.skipped == 4


def test_a_field_of_one_block_keeps_none(tmp_path, counting):
    kept = KeptBlocks(counting(), ["a", "bb"], tmp_path / "blocks")
    kept.encode(Ticks())
    assert not (tmp_path / "blocks").exists()


def test_texts_are_encoded_while_progress_is_shown(tmp_path, counting):
    class Ticking(counting):
        def encode(self, texts, ticker=None):
            assert ticker is not None
            return super().encode(texts, ticker)

    embed_field(Ticking(), ["a", "bb"], tmp_path / "x", source_sha256="s")
    assert read_field(tmp_path / "x")[0][:, 0].tolist() == [1, 2]


def test_a_broken_block_is_encoded_again(begun, counting):
    broken = sorted(blocks_of(begun).iterdir())[0]
    broken.write_bytes(broken.read_bytes()[:-1])
    encoder = counting()
    embed_field(encoder, TEXTS, begun, source_sha256="s")
    assert len(encoder.asked) == 4
    np.testing.assert_array_equal(read_field(begun)[0][3], [4, ord("d"), ord("d"), 1])


def test_vectors_that_depend_on_all_texts_are_of_one_block(tmp_path):
    texts = ["dragons and a castle", None, "a castle by the sea", "the sea"]
    embed_field(LexicalEncoder(EmbeddingOptions(fewest_texts=1)), texts, tmp_path / "text", source_sha256="s")
    there = [0, 2, 3]
    alone = LexicalEncoder(EmbeddingOptions(fewest_texts=1)).encode([texts[row] for row in there])
    np.testing.assert_array_equal(read_field(tmp_path / "text")[0][there], alone)
    assert not blocks_of(tmp_path / "text").exists()


def test_texts_that_are_cut_are_counted_in_every_block(tmp_path, counting):
    class Cutting(counting):
        def cut(self, texts):
            return sum(len(text) > 1 for text in texts)

    assert embed_field(Cutting(), TEXTS, tmp_path / "x", source_sha256="s")["cut"] == 4


def test_a_kept_block_of_other_numbers_is_encoded_again(begun, counting):
    block = sorted(blocks_of(begun).iterdir())[0]
    np.save(block, np.load(block).astype(np.float64))
    encoder = counting()
    embed_field(encoder, TEXTS, begun, source_sha256="s")
    assert len(encoder.asked) == 4
