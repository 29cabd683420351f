"""A sentence-transformers model behind one call: distinct strings in, float32 vectors out.

The model is loaded at the first string, from a local folder, without network.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from augrec.artefacts.cores import CoreWatch
from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.files import digest, read_json
from augrec.artefacts.parameters import read_parameters
from augrec.artefacts.threads import Threads, most_threads
from augrec.artefacts.versions import minor_versions
from embed.options import EmbeddingOptions

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from augrec.artefacts.progress import Ticker

BLOCK = 512
"""Texts that are encoded and kept at a time: seconds of work on a CPU, and a file of a megabyte or a few."""
NEAR = 15 / 16
"""On a CPU, the least share that a text's tokens are of the longest one's beside it: padding is work there, and eight
texts at a time are about as fast, each, as 64. A GPU wants whole batches."""
PACKAGES = ("sentence-transformers", "transformers", "torch")
"""What decides a vector besides the weights, by the first two numbers of its version."""
CANARIES = ("A film about the sea.", "An opera in four acts, sung in Italian.")
"""Two texts whose vectors differ whatever the model, unless its weights are zeros."""


class SentenceEncoder:
    """Encodes texts with the model in `folder`.

    Args:
        options: how to run it; `options.model` is only the name that is recorded.
        folder: a sentence-transformers or transformers folder on this machine.
        sha256: hash of the weights, recorded beside every matrix.
    """

    def __init__(self, options: EmbeddingOptions, folder: Path, sha256: str) -> None:
        self.options = options
        self._folder = folder
        self._sha256 = sha256
        self._cut: dict[str, int] = {}  # what `cut` says of blocks that were encoded here, by their texts

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the vectors apart from the texts; known without loading the model."""
        options = self.options
        return {
            "model": options.model,
            "model_sha256": self._sha256,
            "normalised": options.normalise,
            "prompt": options.prompt,
            "max_length": options.max_length,
            "dtype": options.dtype,
            "versions": minor_versions(PACKAGES),
        }

    @cached_property
    def dim(self) -> int:
        """Length of a vector."""
        return self.encode(["text"]).shape[1]

    @property
    def block(self) -> int:
        """See `embed.matrices.Encoder`; no other with a smaller batch, which is what running out of memory asks for."""
        return max(BLOCK, self.options.batch_size)

    @cached_property
    def pooling(self) -> str:
        """How token vectors become one vector, e.g. "mean"; "own" when the model does not say."""
        module: Any
        for module in self._model:
            mode = getattr(module, "pooling_mode", None)
            if mode is None and hasattr(module, "get_pooling_mode_str"):
                mode = module.get_pooling_mode_str()
            if mode is not None:
                return mode if isinstance(mode, str) else "+".join(mode)
        return "own"

    def encode(self, texts: Sequence[str], ticker: Ticker | None = None) -> np.ndarray:
        """Vectors of `texts`.

        Longest first by letters, so that memory runs out early or never, and within a block by tokens, so that little
        of a batch is padding: texts of as many letters differ in their tokens.

        Args:
            texts: n strings, best distinct.
            ticker: told of every text that is done.

        Returns:
            float32 [n, dim], row i for texts[i].

        Raises:
            DataError: the model gave a vector that is not finite.
        """
        order = sorted(range(len(texts)), key=lambda row: (-len(texts[row]), texts[row]))
        chunks = []
        with self._free_cores() as look:
            for start in range(0, len(order), self.block):
                look()
                chunk = [texts[row] for row in order[start : start + self.block]]
                chunks.append(self._encode_chunk(chunk))
                if ticker is not None:
                    ticker.advance(len(chunk))
        if not chunks:
            return np.zeros((0, self.dim), dtype=np.float32)
        values = np.empty((len(texts), chunks[0].shape[1]), dtype=np.float32)
        values[order] = np.concatenate(chunks)
        return values

    def _encode_chunk(self, texts: list[str]) -> np.ndarray:
        lengths = self._lengths(texts)
        self._cut[digest(texts)] = self._longer(lengths)
        batches = self._batches(lengths)
        encoded = np.concatenate([self._encode_batch([texts[row] for row in rows]) for rows in batches])
        values = np.empty_like(encoded)
        values[np.concatenate(batches)] = encoded
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
            raise DataError(
                f"the embedding of {texts[row][:80]!r} is not finite", where=self._folder, remedy="set dtype: float32"
            )
        if not self.options.normalise:
            return values
        length = np.linalg.norm(values, axis=1, keepdims=True)
        return values / np.where(length > 0, length, 1)

    def _batches(self, lengths: np.ndarray) -> list[np.ndarray]:
        """Rows of texts that pass through the model together, the longest first."""
        read = lengths if self._most_tokens is None else np.minimum(lengths, self._most_tokens)
        near = NEAR if self._model.device.type == "cpu" else 0
        return batches_of_like_length(read, self.options.batch_size, near)

    def _encode_batch(self, texts: list[str]) -> np.ndarray:
        """float32 [n, dim]."""
        values = self._model.encode(texts, prompt=self.options.prompt, batch_size=len(texts), show_progress_bar=False)
        return np.asarray(values, dtype=np.float32)

    @contextmanager
    def _free_cores(self) -> Iterator[Callable[[], None]]:
        """Threads by the cores that are free while the block runs, on the CPU; yields what looks again.

        Only in float32, whose vectors were the same, bit for bit, with one thread and with two.
        """
        import torch

        if self._model.device.type != "cpu" or self.options.dtype != "float32":
            yield lambda: None
            return
        before = torch.get_num_threads()
        try:
            self._threads.resume()
            yield self._threads.look
        finally:
            torch.set_num_threads(before)

    @cached_property
    def _threads(self) -> Threads:
        import torch

        return Threads(None, most_threads(torch.get_num_threads()), torch.set_num_threads, CoreWatch())

    def cut(self, texts: Sequence[str]) -> int:
        """How many of `texts`, with the prompt before them, are longer than the model reads."""
        known = self._cut.get(digest(texts))
        return self._longer(self._lengths(texts)) if known is None else known

    def _longer(self, lengths: np.ndarray) -> int:
        return 0 if self._most_tokens is None else int((lengths > self._most_tokens).sum())

    def _lengths(self, texts: Sequence[str]) -> np.ndarray:
        """int64 [n], tokens of each text with the prompt before it; letters where the model has no tokenizer to ask."""
        if not texts or not self._counts_tokens:  # a tokenizer refuses an empty list
            return np.array([len(text) for text in texts], dtype=np.int64)
        prompted = [self.options.prompt + text for text in texts]
        tokens = self._model.tokenizer(prompted, truncation=False, padding=False, verbose=False)["input_ids"]
        return np.array([len(ids) for ids in tokens], dtype=np.int64)

    @property
    def _counts_tokens(self) -> bool:
        return callable(self._model.tokenizer)

    @property
    def _most_tokens(self) -> int | None:
        return self._model.max_seq_length if self._counts_tokens else None

    @cached_property
    def _model(self) -> SentenceTransformer:
        # Read when huggingface_hub is first imported; local_files_only covers the case that it already was.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()
        _check_files(self._folder)
        try:
            model = SentenceTransformer(
                str(self._folder),
                device=_device(self.options.device),
                local_files_only=True,
                model_kwargs={"dtype": getattr(torch, self.options.dtype)},
            )
        except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
            raise DataError(
                f"sentence-transformers cannot load the model ({error})",
                where=self._folder,
                remedy="check the folder with `augrec doctor`, or name another embedding model",
            ) from error
        _limit(model, self.options.max_length)
        _check_vectors(model.eval(), self._folder)
        return model


def batches_of_like_length(lengths: np.ndarray, most: int, near: float) -> list[np.ndarray]:
    """Rows put together so that little is padded.

    Args:
        lengths: int [n].
        most: rows of a batch.
        near: the least share that a row's length is of the longest one's of its batch.

    Returns:
        Every row once, the longest first, equal ones in their order; int64 each.
    """
    order = np.argsort(-lengths, kind="stable")
    falling = lengths[order]
    batches, start = [], 0
    while start < len(order):
        last = np.searchsorted(-falling, -near * falling[start], side="right")
        end = min(start + most, int(last))
        batches.append(order[start:end])
        start = end
    return batches


def _check_files(folder: Path) -> None:
    """Raises DataError where sentence-transformers would fill in numbers at random, with a warning at most."""
    root, modules = folder, folder / "modules.json"
    if modules.is_file():
        first = read_json(modules)[0]
        if "Transformer" not in first["type"].rpartition(".")[2]:
            return
        root = folder / first["path"]
    if not (root / "config.json").is_file():
        return
    parameters = read_parameters(root, "AutoModel", unused=lambda name: "pooler." in name)  # vectors are of tokens
    if parameters is not None and parameters.fault:
        raise DataError(
            f"the folder is not the whole embedding model: {parameters.fault}",
            where=root,
            remedy="copy or download the model again",
        )


def _check_vectors(model: SentenceTransformer, folder: Path) -> None:
    one, other = np.asarray(model.encode(list(CANARIES), show_progress_bar=False), dtype=np.float32)
    if not (np.isfinite(one).all() and one.any() and other.any()) or np.array_equal(one, other):
        raise DataError(
            "the embedding model gives different texts the same vector, or none",
            where=folder,
            remedy="its weights are damaged (zeros?): get the model again; with float16, set dtype: float32",
        )


def _device(wanted: str) -> str:
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda"):
        index = int(wanted.partition(":")[2] or 0)
        if index >= torch.cuda.device_count():
            raise UsageError(
                f"there is no device {wanted}: torch sees {torch.cuda.device_count()} CUDA devices",
                where="device of the embedding model",
                remedy="set device: auto",
            )
    return wanted


def _limit(model: SentenceTransformer, max_length: int | None) -> None:
    if max_length is None:
        return
    most = getattr(model.tokenizer, "model_max_length", None)
    if most is not None and max_length > most:
        raise UsageError(
            f"max_length {max_length} is more than the {most} tokens that the embedding model reads",
            where="max_length of the embedding model",
            remedy=f"set max_length to at most {most}",
        )
    model.max_seq_length = max_length
