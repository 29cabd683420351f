"""Percentiles against a loop over all pairs, and what is said of profiles made to leak or not to."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from pipeline.compare import leak as module
from pipeline.compare.leak import leak, percentiles, verdict

USERS, ITEMS, DIM = 60, 50, 8
Splits = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def splits() -> Splits:
    """Six training items, two of each other split; users 3 and 4 lack some."""
    rng = np.random.default_rng(0)
    parts: dict[str, list[tuple[int, int]]] = {"train": [], "valid": [], "test": []}
    for user in range(USERS):
        drawn = rng.permutation(ITEMS)[:10].tolist()
        for name, chosen in zip(parts, (drawn[:6], drawn[6:8], drawn[8:]), strict=True):
            if not (user == 3 and name != "train") and not (user == 4 and name == "train"):
                parts[name] += [(user, item) for item in chosen]
    return {name: np.array(pairs)[rng.permutation(len(pairs))] for name, pairs in parts.items()}


def slow(profiles: np.ndarray, items: np.ndarray, splits: Splits, name: str, user: int) -> float:
    """The mean share of items outside of training that are less like the profile, one pair at a time."""
    there = [item for item in range(len(items)) if items[item].any()]

    def like(item: int) -> float:
        return round(float(profiles[user] @ items[item] / np.sqrt((items[item] ** 2).sum())), 9)

    owned = {key: set(pairs[pairs[:, 0] == user, 1].tolist()) for key, pairs in splits.items()}
    shares = []
    for mine in owned[name] & set(there):
        rivals = [item for item in there if item not in owned["train"] and item != mine]
        shares.append(np.mean([(like(r) < like(mine)) + 0.5 * (like(r) == like(mine)) for r in rivals]))
    return float(np.mean(shares)) if shares and profiles[user].any() else float("nan")


def vectors() -> tuple[np.ndarray, np.ndarray]:
    """Small whole numbers, so that many are equally alike; some rows are missing."""
    rng = np.random.default_rng(1)
    profiles, items = (rng.integers(0, 2, (n, DIM)).astype(np.float64) for n in (USERS, ITEMS))
    profiles[7], items[5] = 0, 0
    return profiles, items


@pytest.mark.parametrize("sparse", [False, True])
def test_percentiles_are_shares_of_the_items_outside_of_training(
    splits: Splits, sparse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CELLS", 7 * ITEMS)
    profiles, items = vectors()
    given = (sp.csr_array(profiles), sp.csr_array(items)) if sparse else (profiles, items)
    found = percentiles(*given, splits)
    for name in splits:
        expected = [slow(profiles, items, splits, name, user) for user in range(USERS)]
        np.testing.assert_allclose(found[name], expected, atol=1e-12, err_msg=name)
    assert np.isnan([found["test"][3], found["train"][4], found["train"][7]]).all()


def made_of(splits: Splits, names: tuple[str, ...], items: np.ndarray) -> np.ndarray:
    """Profiles that are the sum of the user's items in these splits."""
    profiles = np.zeros((USERS, items.shape[1]))
    for name in names:
        np.add.at(profiles, splits[name][:, 0], items[splits[name][:, 1]])
    return profiles


def test_profiles_of_training_items_show_no_leak_and_those_of_all_items_do(splits: Splits) -> None:
    items = np.random.default_rng(2).normal(size=(ITEMS, 32))
    honest = leak("a", made_of(splits, ("train",), items), items, splits)
    assert honest["train"]["low"] > 0.9
    assert honest["test"]["low"] < 0.5 < honest["test"]["high"]
    assert honest["gap_low"] > 0.3
    assert honest["verdict"].startswith("No sign of a leak")
    leaking = leak("a", made_of(splits, ("train", "test"), items), items, splits)
    assert leaking["gap_low"] < 0.05 < leaking["test"]["low"]
    assert leak("a", made_of(splits, ("test",), items), items, splits)["gap"] < 0
    strangers = leak("a", np.random.default_rng(3).normal(size=(USERS, 32)), items, splits)
    assert strangers["verdict"].startswith("No signal")
    assert leak("a", made_of(splits, ("train",), items), items, splits) == honest


def test_the_gap_is_over_users_of_both_splits(splits: Splits) -> None:
    items = np.random.default_rng(2).normal(size=(ITEMS, 32))
    profiles = made_of(splits, ("train",), items)
    found, means = leak("a", profiles, items, splits), percentiles(profiles, items, splits)
    both = [user for user in range(USERS) if not np.isnan(means["train"][user] + means["test"][user])]
    assert len(both) == USERS - 2
    assert found["gap"] == pytest.approx(np.mean(means["train"][both] - means["test"][both]))
    assert found["gap_low"] < found["gap"] < found["gap_high"]
    assert found["users"] == USERS - 1  # user 4 has no training items, and so no profile


def test_the_rule_of_the_verdict() -> None:
    def at(mean: float | None, low: float | None) -> dict[str, float | None]:
        return {"mean": mean, "low": low, "high": None if low is None else low + 0.1}

    assert verdict(at(None, None), at(None, None), at(None, None)).startswith("Too few")
    assert verdict(at(0.5, 0.5), at(0.5, 0.5), at(0.0, 0.0)).startswith("No signal")
    assert verdict(at(0.8, 0.7), at(0.8, 0.7), at(0.0, 0.0)).startswith("Suspicious")
    assert verdict(at(0.8, 0.7), at(None, None), at(None, None)).startswith("Training items rank above chance")
    assert verdict(at(0.8, 0.7), at(0.6, 0.5), at(0.2, 0.1)).startswith("No sign")


def test_nobody_and_nothing(splits: Splits) -> None:
    found = leak("a", np.zeros((USERS, DIM)), np.ones((ITEMS, DIM)), splits)
    assert (found["users"], found["train"]["mean"], found["gap"]) == (0, None, None)
    empty = {name: np.empty((0, 2), dtype=np.int64) for name in splits}
    assert leak("a", np.ones((USERS, DIM)), np.ones((ITEMS, DIM)), empty)["users"] == 0
    assert leak("a", np.ones((USERS, DIM)), np.zeros((ITEMS, DIM)), splits)["users"] == 0
    alike = leak("a", np.ones((USERS, DIM)), np.ones((ITEMS, DIM)), splits)
    assert alike["train"]["mean"] == alike["test"]["mean"] == 0.5
