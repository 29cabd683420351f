"""Vectors of many texts, a block at a time, each block kept as soon as it is encoded: a killed embedding goes on.

A kept block is a file named by what decides its numbers, the encoder's settings and the texts, so it needs no list of
what was done, and one that was made of other texts or by another model is never taken for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import digest, write_npy
from augrec.artefacts.matrices import EMBED_AGAIN, SUFFIX, read_matrix

if TYPE_CHECKING:
    from augrec.artefacts.progress import Ticker
    from embed.matrices import Encoder


class KeptBlocks:
    """Vectors of distinct texts, longest first, in blocks of `encoder.block`.

    One block alone is not kept: what would follow it is the end of the field.

    Args:
        encoder: the embedding model.
        texts: distinct strings, not empty, in any order.
        folder: where the blocks of this field lie; whoever has written the field removes it.
    """

    def __init__(self, encoder: Encoder, texts: Sequence[str], folder: Path) -> None:
        self._encoder, self._folder = encoder, folder
        # Texts of like length stand together, so that little is padded, and memory runs out at the start or never.
        self.texts = sorted(texts, key=lambda text: (-len(text), text))
        self._size = encoder.block or len(self.texts)
        self._last: tuple[int, np.ndarray] | None = None

    def encode(self, ticker: Ticker) -> None:
        """Encodes what is not there yet."""
        for start in self._starts:
            self._vectors(start, ticker)

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        """The vectors, float32 [at most a block, d], each with the place of its first among `texts`."""
        for start in self._starts:
            yield start, self._vectors(start)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._vectors(0).shape[1] if self.texts else self._encoder.dim

    def cut(self) -> int:
        """How many texts are longer than the model reads."""
        return sum(self._encoder.cut(self._block(start)) for start in self._starts)

    @property
    def _starts(self) -> range:
        return range(0, len(self.texts), self._size or 1)

    def _block(self, start: int) -> list[str]:
        return self.texts[start : start + self._size]

    def _vectors(self, start: int, ticker: Ticker | None = None) -> np.ndarray:
        if self._last is not None and self._last[0] == start:
            return self._last[1]
        block = self._block(start)
        path = self._folder / f"{digest([self._encoder.settings, block])}{SUFFIX}"
        values = _read(path, len(block))
        if values is None:
            values = self._encoder.encode(block, ticker)
            if len(block) < len(self.texts):
                write_npy(path, values)
        elif ticker is not None:
            ticker.skip(len(block))
        self._last = start, values
        return values


def _read(path: Path, rows: int) -> np.ndarray | None:
    """The vectors of a kept block; None where it is missing or broken."""
    with suppress(DataError):
        values = read_matrix(path, remedy=EMBED_AGAIN, rows=rows)
        if values.dtype == np.float32:
            return values
    return None
