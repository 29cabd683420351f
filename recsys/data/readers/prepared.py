"""A `dataset/` folder that Augrec wrote itself: an import's, or another run's, with its split and all its ids.

Users and items without an interaction keep their place, because released files rank them too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from augrec.artefacts.errors import DataError
from augrec.artefacts.interactions import DETAILS, SPLITS
from augrec.artefacts.run_folder import DatasetFolder
from recsys.data.dataset import Dataset
from recsys.data.options import SourceOptions
from recsys.data.readers.base import RawData, require_files

REMEDY = "`path` is the folder that `augrec prepare` or `augrec import` wrote: runs/demo/dataset, imported/dataset"


def read(source: SourceOptions, folder: Path) -> RawData:
    """Reads the folder; see `Reader`. Ids are the source ids it holds."""
    there = DatasetFolder(folder)
    files = require_files(folder, [path.name for path in there.files], REMEDY)
    dataset = Dataset.load(folder)
    sides = {
        "item": _side(there.items, "item", dataset.items),
        "user": _side(there.users, "user", dataset.users),
    }
    raw = pd.read_parquet(there.interactions)
    interactions = pd.DataFrame({about: sides[about][about].to_numpy()[raw[about]] for about in ("user", "item")})
    for name in DETAILS:
        if name in raw:
            interactions[name] = raw[name]
    interactions["split"] = raw["split"].map({name: number for number, name in enumerate(SPLITS)}).astype(np.uint8)
    return RawData(interactions, sides["item"], sides["user"], files, dataset.meta.get("licence"), keeps_everyone=True)


def _side(path: Path, about: str, table: object) -> pd.DataFrame:
    """The side table by source id."""
    frame = table.to_pandas()  # type: ignore[attr-defined]
    if "source_id" not in frame or frame["source_id"].isna().any() or frame["source_id"].duplicated().any():
        raise DataError("source_id is missing, empty or not unique", where=path, remedy=REMEDY)
    if "year" in frame:
        frame["year"] = frame["year"].astype("Int16")
    return frame.drop(columns=about).rename(columns={"source_id": about})
