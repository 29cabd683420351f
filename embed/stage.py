"""The two groups of matrices: what a source wrote, and what the data set says itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from augrec.artefacts.files import sha256_file
from augrec.artefacts.source_folder import SourceFolder
from embed.matrices import Encoder, embed_field
from embed.records import texts_of_items, texts_of_source


def embed_source(
    encoder: Encoder, records_folder: Path, n_users: int, n_items: int, out: Path, tasks: Iterable[str]
) -> dict[str, Any]:
    """Embeds every text and every attribute that one source wrote.

    Args:
        encoder: the embedding model.
        records_folder: R/augment/<source>.
        n_users, n_items: rows of the matrices.
        out: R/embed/<source>; gets a matrix for each field of `texts_of_source`.
        tasks: those whose records are embedded.

    Returns:
        field -> content of its JSON file; empty when the source wrote neither texts nor attributes.

    Raises:
        DataError: the records do not fit the data set.
    """
    fields = texts_of_source(records_folder, n_users, n_items, tasks)
    source = SourceFolder(records_folder)
    hashes = {name: sha256_file(source.task(name).records) for name in {field.task for field in fields.values()}}
    return {
        name: embed_field(encoder, field.texts, out / name, source_sha256=hashes[field.task], task=field.task)
        for name, field in fields.items()
    }


def embed_items(
    encoder: Encoder, items_parquet: Path, out: Path, columns: Sequence[str] | None = None
) -> dict[str, Any]:
    """Embeds the items' own side information.

    Args:
        encoder: the embedding model.
        items_parquet: R/dataset/items.parquet.
        out: R/embed/data; gets `text` (all columns in one text) and one matrix per column that is no prose.
        columns: see `EmbeddingOptions.columns`.

    Returns:
        field -> content of its JSON file; empty when the data set describes no items.
    """
    texts = texts_of_items(items_parquet, columns)
    source = sha256_file(items_parquet)
    named = list(columns) if columns else None
    return {
        field: embed_field(encoder, rows, out / field, source_sha256=source, columns=named)
        for field, rows in texts.items()
    }
