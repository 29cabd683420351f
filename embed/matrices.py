"""Texts to one matrix: distinct strings encoded once, scattered to their rows, missing rows zero and listed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from augrec.artefacts.errors import DataError
from augrec.artefacts.matrices import read_field, write_field
from augrec.artefacts.progress import progress
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
    if known is not None:
        return known
    distinct = sorted({text for text in texts if text is not None})
    vectors = np.zeros((0, encoder.dim), dtype=np.float32)
    if distinct:
        with progress(f"embed {out.parent.name}/{out.name}", len(distinct), "strings") as ticker:
            vectors = encoder.encode(distinct, ticker)
    values = np.zeros((len(texts), vectors.shape[1]), dtype=np.float32)
    row_of = {text: row for row, text in enumerate(distinct)}
    filled = [row for row, text in enumerate(texts) if text is not None]
    values[filled] = vectors[[row_of[texts[row]] for row in filled]]  # type: ignore[index]
    written = inputs | {
        "dim": vectors.shape[1],
        "distinct": len(distinct),
        "missing": [row for row, text in enumerate(texts) if text is None],
        "pooling": encoder.pooling,
        "cut": encoder.cut(distinct),
    }
    write_field(out, values, written)
    return written


def _finished(out: Path, inputs: dict[str, Any]) -> dict[str, Any] | None:
    try:
        _, about = read_field(out)
    except (DataError, KeyError, TypeError):
        return None
    # Compared as JSON reads it back.
    return about if {name: about.get(name) for name in inputs} == json.loads(json.dumps(inputs)) else None
