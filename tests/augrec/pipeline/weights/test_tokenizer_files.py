"""Tokenizers whose files are cut short are named, and whole ones of every kind pass."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from augrec.pipeline.weights.tokenizer_files import SPARE, tokenizer_faults

WORDS = 2000


def texts() -> list[str]:
    draw = random.Random(0)
    return [" ".join("".join(draw.choices("abcdefghij", k=draw.randint(3, 9))) for _ in range(40)) for _ in range(100)]


def merged(folder: Path) -> Path:
    """Byte-level BPE as GPT-2 and its kin are stored."""
    from tokenizers import ByteLevelBPETokenizer

    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(texts(), WORDS, show_progress=False, special_tokens=["<s>", "<pad>"])
    tokenizer.save_model(str(folder))
    return folder / "merges.txt"


def listed(folder: Path) -> Path:
    """WordPiece as BERT's is stored, with a few embeddings more than words."""
    from tokenizers import BertWordPieceTokenizer

    tokenizer = BertWordPieceTokenizer()
    tokenizer.train_from_iterator(texts(), WORDS, show_progress=False)
    tokenizer.save_model(str(folder))
    (folder / "config.json").write_text(json.dumps({"vocab_size": tokenizer.get_vocab_size() + 6}))
    return folder / "vocab.txt"


def pieces(folder: Path) -> Path:
    """SentencePiece's own file."""
    import sentencepiece

    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts()), model_writer=out, vocab_size=300, minloglevel=2
    )
    (folder / "tokenizer.model").write_bytes(out.getvalue())
    return folder / "tokenizer.model"


@pytest.mark.parametrize("write", [merged, listed, pieces])
@pytest.mark.parametrize("kept", [0.0, 0.6])
def test_a_tokenizer_that_is_cut_short_is_named(tmp_path: Path, write: Callable[[Path], Path], kept: float) -> None:
    path = write(tmp_path)
    assert tokenizer_faults(tmp_path) == []
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    faults = tokenizer_faults(tmp_path)
    assert len(faults) == 1
    assert f"the end of {path.name}" in faults[0]


@pytest.mark.parametrize("write", [merged, listed, pieces])
def test_a_tokenizer_that_is_a_git_lfs_pointer_is_named(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    path = write(tmp_path)
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert tokenizer_faults(tmp_path) == [
        f"the content of {path.name}, which is a Git LFS pointer (`git lfs pull` gets it)"
    ]


def test_a_cut_at_the_end_of_a_line_shows_by_words_without_a_merge(tmp_path: Path) -> None:
    path = merged(tmp_path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: -SPARE // 2]))
    assert tokenizer_faults(tmp_path) == []  # as many as whole files may have
    path.write_text("".join(lines[: -2 * SPARE]))
    assert "have no merge" in tokenizer_faults(tmp_path)[0]
    (tmp_path / "tokenizer.json").write_text("{}")
    assert tokenizer_faults(tmp_path) == []  # it is what is loaded


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_the_last_bytes_of_sentence_pieces_are_missed(tmp_path: Path, lost: int) -> None:
    path = pieces(tmp_path)
    path.write_bytes(path.read_bytes()[:-lost])
    assert tokenizer_faults(tmp_path) == ["the end of tokenizer.model"]


def test_words_with_their_numbers_in_a_file_of_that_name_pass(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_text("IQ== 0\nIg== 1\n")
    assert tokenizer_faults(tmp_path) == []
