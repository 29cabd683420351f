"""What a base recommender says of the run of `hand_made_run`, written by hand: no model is trained."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from augrec.artefacts.files import write_json, write_npy, write_parquet
from augrec.artefacts.run_folder import RunFolder
from tests.augrec.pipeline.audit.hand_made_run import TRAIN

USERS = [[1, 0], [0, 1], [1, 1], [0.5, 1], [2, 0]]
"""User 4, whom nobody knows from training, is as near to user 0 as can be."""
ITEMS = [[0.1, 0.6], [0.2, 0.1], [0.9, 0.2], [0.3, 0.9], [0.8, 0.3], [0.4, 0.4], [0.6, 0.8], [0.7, 0.55]]
LISTS = {0: [(2, 0.9), (4, 0.8)], 1: [(3, 0.9), (6, 0.8)], 2: [(6, 1.4), (7, 1.25)], 3: [(6, 1.1), (3, 1.05)]}
"""The two best items of every user that are not of training, and their scores."""
OWN = {0: [(0, 5), (1, 0)], 1: [(0, 1), (2, 4), (3, 1)]}
"""What each fold holds out; of user 3 that is everything."""
DRAWN = {0: [(0, 2), (1, 4)], 1: [(0, 4), (2, 1), (2, 2), (3, 0)]}
NEAREST = {0: (2, 0.5**0.5), 1: (3, 0.8**0.5), 2: (3, 0.9**0.5), 3: (2, 0.9**0.5)}
SECOND = {0: (3, 0.2**0.5), 1: (2, 0.5**0.5)}
IN_FOLDS = {0: {0: 3, 2: 0}, 1: {1: 2, 2: 0, 3: 1}}
"""The nearest users of some, by the models without a fold."""


def write_base(run: RunFolder) -> None:
    """Writes `base/`; rows of its tables are in no order."""
    for path, vectors in ((run.base.users, USERS), (run.base.items, ITEMS)):
        write_npy(path, np.array(vectors, dtype=np.float32))
    write_lists(run, LISTS)
    held = [
        {"user": user, "item": item, "fold": fold, "drawn": drawn, "score": 0.5, "rating": 4.0}
        for drawn, pairs in ((True, DRAWN), (False, OWN))
        for fold in reversed(pairs)
        for user, item in pairs[fold]
    ]
    write_parquet(run.base.held_out, pa.Table.from_pylist(held))
    near = [(fold, user, 0, other, 0.1) for fold, those in IN_FOLDS.items() for user, other in those.items()]
    near += [(-1, user, rank, *found) for rank, those in ((1, SECOND), (0, NEAREST)) for user, found in those.items()]
    names = ("fold", "user", "rank", "neighbour", "similarity")
    write_parquet(run.base.neighbours, pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in near]))
    for piece, hidden in {"whole": [], "fold-0": OWN[0], "fold-1": OWN[1]}.items():
        write_trained_on(run, piece, [(user, item) for user, item, _ in TRAIN if (user, item) not in hidden])
    write_json(run.stage_marker("base"), {})


def write_lists(run: RunFolder, lists: dict[int, list[tuple[int, float]]]) -> None:
    """Lists of (item, score), the best first, in rows from the last to the first."""
    rows = [
        {"user": user, "rank": rank, "item": item, "score": score}
        for user, listed in lists.items()
        for rank, (item, score) in enumerate(listed)
    ]
    write_parquet(run.base.lists, pa.Table.from_pylist(rows[::-1]))


def write_trained_on(run: RunFolder, piece: str, pairs: Iterable[tuple[int, int]]) -> None:
    """What a training of the base model says that it saw."""
    seen = sorted(pairs)
    sha256 = hashlib.sha256(b"".join(struct.pack("<ii", *pair) for pair in seen)).hexdigest()
    write_json(run.base.trained_on(piece), {"interactions": len(seen), "sha256": sha256})
