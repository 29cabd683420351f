"""Encodes texts as vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from augrec.artefacts.errors import UsageError
from augrec.pipeline.config.sections import validated
from augrec.pipeline.stages.embed import encoder_for
from embed.options import EmbeddingOptions


def embed(texts: Sequence[str | None], model: str | None = None, **options: Any) -> np.ndarray:
    """Encodes texts with an embedding model on this machine; nothing is downloaded.

    Args:
        texts: n texts; None stands for a missing one.
        model: a folder, `pkg:<distribution>/<path>`, a hub id in the local cache, or "tfidf"; by default that of
            `embedding.model` in configs.
        options: further options of `embed.options.EmbeddingOptions`, such as `device="cpu"`.

    Returns:
        float32 [n, d]; the row of a missing text is zero, which `train(..., item_features=...)` counts as missing.

    Raises:
        UsageError: `texts` is one text, or an option is wrong.
        DataError: the model is not there or broken.
    """
    if isinstance(texts, str):  # a sequence of its letters
        raise UsageError("texts is one text, expected several", where="embed()", remedy="give a list: embed([text])")
    given = options if model is None else {**options, "model": model}
    encoder = encoder_for(validated(given, EmbeddingOptions, "embed()", "arguments"))
    distinct = sorted({text for text in texts if text is not None})
    vectors = encoder.encode(distinct)
    places = {text: row for row, text in enumerate(distinct)}
    rows = np.zeros((len(texts), vectors.shape[1]), dtype=np.float32)
    there = [place for place, text in enumerate(texts) if text is not None]
    rows[there] = vectors[[places[text] for text in texts if text is not None]]
    return rows
