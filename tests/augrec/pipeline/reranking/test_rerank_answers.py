"""What is said of the answers about lists: how much they mind the order in which the lists were shown."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augrec.pipeline.reranking.answers import read_ranking
from recsys.evaluation.lists import RankedLists

ITEMS = [[7, 8, 9], [4, 5, 6]]
LISTS = RankedLists(np.array([2, 3]), np.array(ITEMS), np.zeros((2, 3)))


def written(path: Path, *rows: tuple[int, str, list[int], dict[str, Any]]) -> Path:
    """Records of (user, question, items as shown, fields)."""
    columns = {
        "entity": pa.array([row[0] for row in rows], pa.int32()),
        "question": [row[1] for row in rows],
        "status": ["ok"] * len(rows),
        "shown_candidates": pa.array([row[2] for row in rows], pa.list_(pa.int32())),
        "fields": [json.dumps(row[3]) for row in rows],
        "repairs": pa.array([[]] * len(rows), pa.list_(pa.string())),
    }
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(("orders", "said"), [(2, 0.3), (1, math.nan)])
def test_orders_of_a_scored_question_disagree_by_the_mean_over_users(tmp_path: Path, orders: int, said: float) -> None:
    scored = [(2, "", ITEMS[0], {"order": [8, 7, 9], "disagreement": 0.1}),
              (3, "", ITEMS[1], {"order": [6, 5, 4], "disagreement": 0.5})]  # fmt: skip
    counted = read_ranking(written(tmp_path / "records.parquet", *scored), LISTS, 3, orders).counted
    assert counted.disagreement == pytest.approx(said, nan_ok=True)
    assert math.isnan(counted.place_variance), "one record for all orders"
    assert counted.like_list == pytest.approx((0.5 - 1) / 2)
    assert counted.as_json()["disagreement"] == (said if orders > 1 else None)


def test_written_orders_vary_in_their_places(tmp_path: Path) -> None:
    orders = [(2, "order-1", [7, 8, 9], {"order": [7, 8, 9]}), (2, "order-2", [9, 8, 7], {"order": [9, 8, 7]})]
    counted = read_ranking(written(tmp_path / "records.parquet", *orders), LISTS, 3, 2).counted
    assert counted.place_variance == pytest.approx((2 + 0 + 2) / 3)
    assert math.isnan(counted.disagreement)
    assert (counted.like_shown, counted.like_list) == (1.0, 0.0), "both are copies of their prompts"
