"""What can be configured about records that are replayed."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from augment.engines.options import EngineOptions


class ReplayOptions(EngineOptions):
    """Records that exist already, published ones or an earlier run's; nothing is generated."""

    kind: Literal["replay"] = "replay"
    """No engine, but it stands where one is named."""
    replays: ClassVar[bool] = True
    changes_no_answer: ClassVar[frozenset[str]] = frozenset(
        {
            "vectors",  # where the vectors come from, not the text
            *("records", "dataset"),  # paths, whose files are identified by their content
        }
    )
    records: Path
    """Folder with <task>/records.parquet: a run's augment/<source>, or what `augrec import` wrote."""
    dataset: Path | None = None
    """Folder of the data set the records were written for. null: the one of the run or import they lie in."""
    match: Literal["source_id", "position"] = "source_id"
    """How users and items of the two data sets are matched: by the ids their source gave them, or by their position
    (right only where both have the same users and items in the same order)."""
    vectors: bool = False
    """Copy the vectors that came with the records (embed/<source> beside their augment/<source>) instead of embedding
    their text."""

    @property
    def brings_vectors(self) -> bool:
        """See EngineOptions."""
        return self.vectors

    def file_hashes(self) -> dict[str, str]:
        """See EngineOptions: those of the records, and of the ids they are matched by."""
        from augment.replay.replay import replayed_files

        return replayed_files(self)
