"""Embedding a field of texts, beside `SentenceTransformer.encode` on the same rows.

    python -m benchmarks.embedding [--release DIR] [--texts N] [--rounds N] [--json FILE]

Both have MiniLM, one thread and the rows in the same order. Ours is everything that `embed` does with a field: distinct
texts, batches, blocks that are kept, the matrix in its file. On the other side all rows go into one call, as its
documents show it, and nothing is written. Profiles are of `--release`, RLMRec's Amazon-book, where it is named, else
drawn from a small vocabulary; attributes are drawn, few words of which each stands in many rows.

What our side allocates besides texts is measured with vectors that cost nothing.
"""

from __future__ import annotations

import argparse
import tempfile
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from augrec.artefacts.matrices import read_field
from augrec.pipeline.weights import ResolvedModel, resolve
from benchmarks.result import Result, add_json_option, report, run
from benchmarks.timing import best_cpu_seconds, one_thread
from embed.encoder import BLOCK, SentenceEncoder
from embed.matrices import embed_field
from embed.options import EmbeddingOptions
from recsys.data.released.rlmrec import read_rlmrec

TEXTS, ROUNDS = 768, 2
ROWS_PER_ATTRIBUTE = 8
NEAR = 1e-5
HELD_ROWS, HELD_DIM = (20_000, 80_000), 384
FASTER, HELD = 1.0, 0.5
SENTENCES = """reader enjoys quiet stories about families who cross old borders and keep their secrets from small towns
by the sea while others prefer fast thrillers with clever detectives historical romance science magic cooking travel
biographies philosophical essays coming-of-age wartime adventure humour survival friendship redemption"""

Texts = list[str | None]


def profiles(number: int, release: Path | None) -> Texts:
    """Distinct texts of some sentences: the first users' and items' of a release, or drawn ones."""
    if release is not None:
        found = read_rlmrec(release)
        texts = dict.fromkeys(text for text in (*found.user_texts, *found.item_texts) if text)
        return list(np.random.default_rng(0).permutation(np.array(list(texts), dtype=object))[:number])
    rng, words = np.random.default_rng(0), SENTENCES.split()
    lengths = rng.lognormal(4.0, 0.35, number).astype(int) + 5
    return [f"{row}: {' '.join(rng.choice(words, length))}." for row, length in enumerate(lengths)]


def attributes(number: int) -> Texts:
    """Texts of a few words, each in many rows, and rows without any."""
    rng, words = np.random.default_rng(1), SENTENCES.split()
    distinct = [" ".join(rng.choice(words, 3)) for _ in range(max(1, number // ROWS_PER_ATTRIBUTE))]
    return [None if rng.random() < 0.1 else distinct[row] for row in rng.integers(0, len(distinct), number)]


class Sides:
    """Both ways of embedding the same rows.

    Args:
        model: the weights.
        texts: the rows.
        folder: where our side writes; a new field each time.
    """

    def __init__(self, model: ResolvedModel, texts: Texts, folder: Path) -> None:
        from sentence_transformers import SentenceTransformer

        self._encoder = SentenceEncoder(EmbeddingOptions(device="cpu"), model.path, model.sha256)
        self._theirs = SentenceTransformer(str(model.path), device="cpu", local_files_only=True)
        self._texts, self._folder, self._fields = texts, folder, 0

    def ours(self) -> np.ndarray:
        """float32 [rows, dim]; rows without a text are zeros."""
        self._fields += 1
        out = self._folder / str(self._fields) / "field"
        embed_field(self._encoder, self._texts, out, source_sha256="benchmark")
        return read_field(out)[0]

    def theirs(self) -> np.ndarray:
        """float32 [rows with a text, dim]."""
        there = [text for text in self._texts if text is not None]
        return np.asarray(self._theirs.encode(there, normalize_embeddings=True, show_progress_bar=False))

    def apart(self) -> float:
        """The furthest that a number of one is from the other's; a first call of each, so that both are warm."""
        there = [row for row, text in enumerate(self._texts) if text is not None]
        return float(np.abs(self.ours()[there] - self.theirs()).max())


def compared(what: str, texts: Texts, rounds: int) -> list[Result]:
    """CPU time of both ways, in turns."""
    with tempfile.TemporaryDirectory() as folder, one_thread():
        sides = Sides(resolve(EmbeddingOptions().model), texts, Path(folder))
        apart = sides.apart()
        seconds = best_cpu_seconds({"ours": sides.ours, "theirs": sides.theirs}, rounds)
    per_row = 1e3 * seconds["ours"] / len(texts)
    return [
        Result.at_least(f"{what}: SentenceTransformer.encode / ours", seconds["theirs"] / seconds["ours"], FASTER, "x"),
        Result.at_most(f"{what}: furthest numbers", apart, NEAR, "absolute"),
        Result.unjudged(f"{what}: ours", per_row, "CPU-ms/row", f"{len(texts):,} rows"),
    ]


class FreeVectors:
    """An embedding model that computes nothing, so that only what stands around it is seen."""

    dim, pooling, block = HELD_DIM, "none", BLOCK

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {"model": "free", "model_sha256": "0"}

    def encode(self, texts: Sequence[str], ticker: Any = None) -> np.ndarray:
        """float32 [n, dim] of ones."""
        if ticker is not None:
            ticker.advance(len(texts))
        return np.ones((len(texts), self.dim), dtype=np.float32)

    def cut(self, texts: Sequence[str]) -> int:
        """None."""
        return 0


def held_bytes(rows: int) -> int:
    """The most that embedding distinct texts allocates; pages of the matrix' file, which may be dropped, aside."""
    texts: Texts = [f"text {row}" for row in range(rows)]
    tracemalloc.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            embed_field(FreeVectors(), texts, Path(folder) / "field", source_sha256="benchmark")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def memory_results(rows: tuple[int, int] = HELD_ROWS) -> list[Result]:
    """How what is held grows with the rows, against the matrix that is written."""
    few, many = rows
    growth = (held_bytes(many) - held_bytes(few)) / (many - few)
    return [Result.at_most("held per row / its vector", growth / (4 * HELD_DIM), HELD, "x")]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.embedding", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--release", type=Path, metavar="DIR", help="RLMRec's Amazon-book, for its profiles")
    parser.add_argument("--texts", type=int, default=TEXTS, metavar="N", help="rows of each kind")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N")
    add_json_option(parser)
    given = parser.parse_args(arguments)
    results = [
        *compared("profiles", profiles(given.texts, given.release), given.rounds),
        *compared("attributes", attributes(given.texts), given.rounds),
        *memory_results(),
    ]
    return report("Embedding", results, given.json)


if __name__ == "__main__":
    run(main)
