"""What a data set's description, `dataset.json`, says, whatever place its source lay in."""

from __future__ import annotations

from pathlib import Path

from augrec.artefacts.files import digest, read_json


def content_hash(path: Path) -> str:
    """sha256 of the description without the place of its source, which is told and on which nothing depends.

    Raises:
        DataError: the file is missing or no JSON.
    """
    content = read_json(path)
    content.get("source", {}).pop("path", None)
    return digest(content)
