"""A tiny prepared data set in the documented layout, written without the code that prepares."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

GENRES = ["Action", "Comedy", "Drama", "Horror", "War"]
N_USERS, N_ITEMS = 12, 20


def write_prepared(folder: Path, titles: dict[int, str] | None = None, domain: str = "movies") -> None:
    """Writes dataset/ and candidates/ of a run folder.

    User u has items u..u+4 in training (oldest first), u+5 in validation, u+6 in test; candidates are u+7..u+12,
    all modulo the number of items.

    Args:
        folder: the run's; it must not hold a data set yet.
        titles: of items whose title is another than "Title NN".
        domain: what the items are.
    """
    titles = titles or {}
    (folder / "dataset").mkdir(parents=True)
    (folder / "candidates").mkdir()
    splits = ["train"] * 5 + ["valid", "test"]
    rows = [(u, (u + k) % N_ITEMS, 100 - u + k, splits[k]) for u in range(N_USERS) for k in range(7)]
    users, items, times, split = zip(*rows, strict=True)
    pq.write_table(
        pa.table(
            {
                "user": pa.array(users, pa.int32()),
                "item": pa.array(items, pa.int32()),
                "timestamp": pa.array(times, pa.int64()),
                "split": pa.array(split),
            }
        ),
        folder / "dataset" / "interactions.parquet",
    )
    pq.write_table(
        pa.table(
            {
                "item": pa.array(range(N_ITEMS), pa.int32()),
                "source_id": [f"s{i}" for i in range(N_ITEMS)],
                "title": [titles.get(i, f"Title {i:02d}") for i in range(N_ITEMS)],
                "year": pa.array([1980 + i if i % 7 else None for i in range(N_ITEMS)], pa.int16()),
                "genres": pa.array([[GENRES[i % 5], GENRES[(i * 3 + 1) % 5]] for i in range(N_ITEMS)]),
            }
        ),
        folder / "dataset" / "items.parquet",
    )
    pq.write_table(
        pa.table({"user": pa.array(range(N_USERS), pa.int32()), "source_id": [f"u{u}" for u in range(N_USERS)]}),
        folder / "dataset" / "users.parquet",
    )
    meta = {"name": "tiny", "domain": domain, "genres": GENRES}
    (folder / "dataset" / "dataset.json").write_text(json.dumps(meta))
    shown = [(u, r, (u + 7 + r) % N_ITEMS, 1.0 - r / 10) for u in range(N_USERS) for r in range(6)]
    users, ranks, items, scores = zip(*shown, strict=True)
    pq.write_table(
        pa.table(
            {
                "user": pa.array(users, pa.int32()),
                "rank": pa.array(ranks, pa.int32()),
                "item": pa.array(items, pa.int32()),
                "score": pa.array(scores, pa.float32()),
            }
        ),
        folder / "candidates" / "candidates.parquet",
    )
