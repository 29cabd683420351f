"""RLMRec's released data sets (Amazon-book, Yelp, Steam): interactions with their published split, and profiles.

The text of each user and item stands in the column `profile`. There are no titles, ratings or times.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from augrec.artefacts.interactions import SPLITS
from recsys.data.options import SourceOptions
from recsys.data.readers.base import RawData
from recsys.data.released.rlmrec import read_rlmrec


def read(source: SourceOptions, folder: Path) -> RawData:
    """Reads the three matrices of the folder, and the texts where they are there."""
    release = read_rlmrec(folder)
    pairs = [release.dataset.pairs(name) for name in SPLITS]
    users, items = np.concatenate(pairs).T
    interactions = pd.DataFrame({"user": users.astype(str), "item": items.astype(str)})
    interactions["split"] = np.repeat(np.arange(len(SPLITS), dtype=np.uint8), [len(part) for part in pairs])
    return RawData(
        interactions,
        _table("item", release.item_texts),
        _table("user", release.user_texts),
        release.files,
        "RLMRec's release: no licence is stated; keep it out of what you publish",
    )


def _table(name: str, texts: object) -> pd.DataFrame:
    profiles = pd.Series(list(texts), dtype=object)  # type: ignore[call-overload]
    return pd.DataFrame({name: np.arange(len(profiles)).astype(str), "profile": profiles})
