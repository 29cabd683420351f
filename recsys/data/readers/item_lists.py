"""Lists of items that NGCF, KGAT, LightGCN and their many successors publish: `train.txt` and `test.txt`.

A line is a user and the items it has, all of them whole numbers between blanks; a user without items is a line of its
own. There are no ratings, times or titles, and validation is rarely among the files (`valid.txt`):
`split: {kind: given, valid: 0.05}` cuts one from training.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from augrec.artefacts.errors import DataError
from augrec.artefacts.interactions import SPLITS
from recsys.data.options import SourceOptions
from recsys.data.readers.base import RawData, nothing_known, require_files
from recsys.data.readers.contents import contents

REMEDY = "put the train.txt and test.txt of one data set into a folder, as github.com/kuandeng/LightGCN has them"
LARGEST = 10**15
"""More than any catalogue's number, and what float64 still holds."""


def read(source: SourceOptions, folder: Path) -> RawData:
    """Reads the lists of the folder."""
    files = require_files(folder, ["train.txt", "test.txt"], REMEDY)
    if (folder / "valid.txt").is_file():
        files["valid.txt"] = folder / "valid.txt"
    parts = {split: _pairs(files[f"{split}.txt"]) for split in SPLITS if f"{split}.txt" in files}
    users, items = np.concatenate(list(parts.values())).T
    interactions = pd.DataFrame({"user": users.astype(str), "item": items.astype(str)})
    numbers = np.array([SPLITS.index(split) for split in parts], np.uint8)
    interactions["split"] = np.repeat(numbers, [len(pairs) for pairs in parts.values()])
    nobody = {about: nothing_known(about) for about in ("item", "user")}
    notes = () if "valid" in parts else ("there is no valid.txt: dataset.split.valid cuts validation from training",)
    tables = {"interactions": files["train.txt"]}
    return RawData(interactions, nobody["item"], nobody["user"], files, tables=tables, notes=notes)


def _pairs(path: Path) -> np.ndarray:
    """int64 [m, 2] of (user, item), in the order of the file.

    Raises:
        DataError: the file is empty, or a field is no whole number.
    """
    lines = [line.split() for line in bytes(contents(path)).splitlines()]
    lengths = np.array([len(fields) for fields in lines], dtype=np.int64)
    if not (lengths > 1).any():
        raise DataError("no user of the file has an item", where=path, remedy=REMEDY)
    try:
        numbers = np.array([field for fields in lines for field in fields]).astype(np.int64)
        if (numbers < 0).any() or (numbers > LARGEST).any():
            raise ValueError
    except (ValueError, OverflowError):
        row, field = next(
            (row, field)
            for row, fields in enumerate(lines, start=1)
            for field in fields
            if not field.isdigit() or int(field) > LARGEST
        )
        raise DataError(
            f"{field.decode('utf-8', 'replace')[:60]!r} is no whole number; a line is a user and its items",
            where=f"{path}:{row}",
            remedy="mend the line, or read pairs with a header by `format: table`",
        ) from None
    kept = lengths[lengths > 0]
    first = np.cumsum(kept) - kept
    items = np.ones(len(numbers), dtype=bool)
    items[first] = False
    return np.stack([np.repeat(numbers[first], kept - 1), numbers[items]], axis=1)
