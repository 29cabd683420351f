"""The two groups of matrices: what a source wrote, and what the data set says itself."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from augrec.artefacts.files import sha256_file
from embed.matrices import Encoder, embed_field
from embed.records import ITEM_ATTRIBUTES, USER_PROFILE, records_of, texts_of_items, texts_of_source


def embed_source(
    encoder: Encoder,
    records_folder: Path,
    n_users: int,
    n_items: int,
    out: Path,
    tasks: Collection[str] = (USER_PROFILE, ITEM_ATTRIBUTES),
) -> dict[str, Any]:
    """Embeds the profiles and item attributes of one source.

    Args:
        encoder: the embedding model.
        records_folder: R/augment/<source>.
        n_users, n_items: rows of the matrices.
        out: R/embed/<source>; gets `user_profile` and one matrix per item attribute.
        tasks: those whose records are embedded.

    Returns:
        field -> content of its JSON file; empty when the source wrote neither profiles nor attributes.

    Raises:
        DataError: the records do not fit the data set.
    """
    texts = texts_of_source(records_folder, n_users, n_items, tasks)
    hashes = {
        task: sha256_file(records_of(records_folder, task))
        for task in (USER_PROFILE, ITEM_ATTRIBUTES)
        if task in tasks and records_of(records_folder, task).exists()
    }
    return {
        field: embed_field(
            encoder, rows, out / field, source_sha256=hashes[USER_PROFILE if field == USER_PROFILE else ITEM_ATTRIBUTES]
        )
        for field, rows in texts.items()
    }


def embed_items(encoder: Encoder, items_parquet: Path, out: Path) -> dict[str, Any]:
    """Embeds the items' own side information.

    Args:
        encoder: the embedding model.
        items_parquet: R/dataset/items.parquet.
        out: R/embed/data; gets `text` (all columns in one text) and one matrix per column.

    Returns:
        field -> content of its JSON file; empty when the data set describes no items.
    """
    texts = texts_of_items(items_parquet)
    source = sha256_file(items_parquet)
    return {field: embed_field(encoder, rows, out / field, source_sha256=source) for field, rows in texts.items()}
