"""The benchmark of a stage that finds everything answered measures what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from augrec.artefacts.files import read_parquet
from benchmarks import answered


def test_it_measures_a_first_pass_a_second_and_one_after_a_data_change() -> None:
    small, large = (answered.measure(n) for n in (40, 120))
    assert (small.requests, large.requests) == (2 * 40 + 80, 2 * 120 + 80)
    assert large.again < large.first
    results = answered.results_of([small, large])
    assert [result.ok for result in results[:-1]] == [None] * (len(results) - 1), "too small to judge"
    assert results[-1].name == "everything to do per request, 120 users / 40"


@pytest.mark.parametrize("n_users", [40, 400])
def test_the_made_up_data_are_of_the_prepared_layout(n_users: int, tmp_path: Path) -> None:
    from augment.catalog import Catalog

    answered.write_made_up(tmp_path, n_users, more_items=3)
    catalog = Catalog.load(tmp_path / "dataset", tmp_path / "candidates" / "candidates.parquet")
    assert catalog.n_users == n_users
    assert catalog.history_lengths.tolist() == [answered.PER_USER - 2] * n_users
    interactions = read_parquet(tmp_path / "dataset" / "interactions.parquet")
    pairs = set(zip(interactions["user"].to_pylist(), interactions["item"].to_pylist(), strict=True))
    assert len(pairs) == answered.PER_USER * n_users
