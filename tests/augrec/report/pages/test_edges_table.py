"""What a page says of edges."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from augrec.report.measures.edge_worth import edge_worth
from augrec.report.pages.edges import edges_table, percent_2, read_edge_worths
from augrec.report.render.wording import DASH

TRAIN, VALID = np.array([(0, 0), (1, 0), (1, 1)]), np.array([(0, 1), (1, 2)])
EDGES = np.array([(0, 1), (1, 3)])


def test_a_row_says_what_is_right_beside_knn_and_a_draw() -> None:
    lists = [[1, 2], [3, 2]]
    listed = edge_worth("llm", "edges", EDGES, TRAIN, VALID, n_users=2, n_items=4, shown=lists)
    alone = edge_worth("paper", "added_edges", EDGES, TRAIN, VALID, n_users=2, n_items=4)
    table = edges_table([listed, alone])
    assert table is not None
    first, second = ([cell.text.replace("\u00a0", " ") for cell in row.cells] for row in table.rows)
    assert first[:6] == ["llm", "edges", "2", "2", "0", "50.00 %"]
    assert first[8:10] == ["50.00 %", "50.00 %"]
    assert first[-1] == "1: 1 of 2"
    assert second[1] == "added edges"
    assert set(second[8:11]) == {DASH}
    assert edges_table([]) is None


def test_what_an_audit_wrote_is_read_again_and_an_older_one_has_none() -> None:
    worth = edge_worth("llm", "edges", EDGES, TRAIN, VALID, n_users=2, n_items=4)
    assert read_edge_worths({"edge_worth": [asdict(worth)]}) == (worth,)
    assert read_edge_worths({}) == ()


def test_small_shares_keep_two_decimals() -> None:
    assert percent_2(0.0043).replace("\u00a0", " ") == "0.43 %"
    assert percent_2(None) == DASH
