"""Released augmentations as artefacts, imported once and again only when their files change."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from augrec.artefacts.files import digest, read_json, write_json
from augrec.artefacts.study_folder import IMPORTED
from augrec.pipeline.identity.code_identity import code_identity
from augrec.pipeline.studies.comparison.options import Release
from augrec.pipeline.weights.resolve import resolve_path


def import_published(name: str, release: Release, place: str, out: Path) -> dict[str, Any]:
    """Imports one release to `out` unless it lies there already; returns what `augrec import` says of it.

    Args:
        name: what the comparison calls it.
        release: its layout.
        place: the released folder, as a config names it.
        out: where the artefacts go.

    Raises:
        DataError: see the importers.
    """
    from augrec.pipeline.exchange.import_llmrec import import_llmrec
    from augrec.pipeline.exchange.import_rlmrec import import_rlmrec

    folder = resolve_path(place)
    importer = import_rlmrec if release.layout == "rlmrec" else import_llmrec
    identity = digest([release.layout, code_identity((importer.__module__,)), *_files(folder)])
    marker = out / IMPORTED
    if marker.exists() and (known := read_json(marker))["identity"] == identity:
        return dict(known["imported"])
    if out.exists():
        shutil.rmtree(out)
    imported = importer(folder, out)
    write_json(marker, {"name": name, "identity": identity, "imported": imported})
    return imported


def _files(folder: Path) -> list[list[Any]]:
    """Name, size and content of every file of a release."""
    from augrec.pipeline.weights.hashes import HashCache
    from augrec.pipeline.weights.resolve import cache_folder

    hashes = HashCache(cache_folder() / "hashes.json")
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    return [[path.relative_to(folder).as_posix(), hashes.sha256(path)] for path in files]
