"""Texts to one matrix: distinct strings encoded once, scattered to their rows, missing rows zero and listed.

Nothing holds more than a block of vectors in memory: blocks are kept in files while the field is encoded, and scattered
into the matrix when all are there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from augrec.artefacts.errors import DataError
from augrec.artefacts.matrices import blocks_of, forget_blocks, read_field, write_field_in_parts
from augrec.artefacts.progress import progress
from embed.blocks import KeptBlocks
from embed.records import text_digest

if TYPE_CHECKING:
    from augrec.artefacts.progress import Ticker


class Encoder(Protocol):
    """What a matrix needs of an embedding model."""

    @property
    def settings(self) -> dict[str, Any]:
        """JSON values that decide the vectors apart from the texts."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    @property
    def block(self) -> int | None:
        """How many texts are encoded and kept at a time; None where a vector depends on the other texts."""

    @property
    def pooling(self) -> str:
        """How token vectors become one."""

    def encode(self, texts: Sequence[str], ticker: Ticker | None = None) -> np.ndarray:
        """float32 [n, dim]."""

    def cut(self, texts: Sequence[str]) -> int:
        """How many texts are longer than the model reads."""


def embed_field(
    encoder: Encoder,
    texts: Sequence[str | None],
    out: Path,
    *,
    source_sha256: str,
    task: str | None = None,
    columns: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Writes `out`.npy (float32 [n, d], row = id) and then `out`.json, unless they are there for these texts.

    Killed, it goes on from the last block of texts that was encoded.

    Args:
        encoder: the embedding model.
        texts: one per row; None is a missing row, a zero vector.
        out: path without suffix, R/embed/<group>/<field>.
        source_sha256: hash of the file the texts were read from.
        task: whose answers they are; None for the data's own text.
        columns: that make the data's own text, where they were named.

    Returns:
        The content of the JSON file.
    """
    inputs = {
        "field": out.name,
        "group": out.parent.name,
        "rows": len(texts),
        **encoder.settings,
        "text_sha256": text_digest(texts),
        "source_sha256": source_sha256,
        **({} if task is None else {"task": task}),
        **({} if columns is None else {"columns": list(columns)}),
    }
    known = _finished(out, inputs)
    if known is None:
        known = _encoded(encoder, texts, out, inputs)
    forget_blocks(out)
    return known


def _encoded(encoder: Encoder, texts: Sequence[str | None], out: Path, inputs: dict[str, Any]) -> dict[str, Any]:
    kept = KeptBlocks(encoder, list({text for text in texts if text is not None}), blocks_of(out))
    if kept.texts:
        with progress(f"embed {out.parent.name}/{out.name}", len(kept.texts), "strings") as ticker:
            kept.encode(ticker)
    written = inputs | {
        "dim": kept.dim,
        "distinct": len(kept.texts),
        "missing": [row for row, text in enumerate(texts) if text is None],
        "pooling": encoder.pooling,
        "cut": kept.cut(),
    }
    write_field_in_parts(out, _scattered(kept, texts), written)
    return written


def _scattered(kept: KeptBlocks, texts: Sequence[str | None]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of the matrix, and their vectors, for each block."""
    place_of = {text: place for place, text in enumerate(kept.texts)}
    places = np.array([-1 if text is None else place_of[text] for text in texts], dtype=np.int64)
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    for start, values in kept:
        rows = order[slice(*np.searchsorted(ordered, [start, start + len(values)]))]
        yield rows, values[places[rows] - start]


def _finished(out: Path, inputs: dict[str, Any]) -> dict[str, Any] | None:
    try:
        _, about = read_field(out)
    except (DataError, KeyError, TypeError):
        return None
    # Compared as JSON reads it back.
    return about if {name: about.get(name) for name in inputs} == json.loads(json.dumps(inputs)) else None
