"""Percentiles against a loop over all pairs, and what is said of profiles made to leak or not to."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

from augrec.report.measures import leak as module
from augrec.report.measures.leak import leak, percentiles, verdict
from augrec.report.measures.resampled_means import ResampledMean
from augrec.report.measures.tf_idf import tf_idf

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
    assert honest.train.low > 0.9
    assert honest.test.low < 0.5 < honest.test.high
    assert honest.gap_low > 0.3
    assert honest.verdict.startswith("No sign of a leak")
    leaking = leak("a", made_of(splits, ("train", "test"), items), items, splits)
    assert leaking.gap_low < 0.05 < leaking.test.low
    assert leak("a", made_of(splits, ("test",), items), items, splits).gap < 0
    strangers = leak("a", np.random.default_rng(3).normal(size=(USERS, 32)), items, splits)
    assert strangers.verdict.startswith("No signal")
    assert leak("a", made_of(splits, ("train",), items), items, splits) == honest


def test_the_gap_is_over_users_of_both_splits(splits: Splits) -> None:
    items = np.random.default_rng(2).normal(size=(ITEMS, 32))
    profiles = made_of(splits, ("train",), items)
    found, means = leak("a", profiles, items, splits), percentiles(profiles, items, splits)
    both = [user for user in range(USERS) if not np.isnan(means["train"][user] + means["test"][user])]
    assert len(both) == USERS - 2
    assert found.gap == pytest.approx(np.mean(means["train"][both] - means["test"][both]))
    assert found.gap_low < found.gap < found.gap_high
    assert found.users == USERS - 1  # user 4 has no training items, and so no profile


def test_the_rule_of_the_verdict() -> None:
    def at(mean: float | None, low: float | None) -> ResampledMean:
        return ResampledMean(mean, low, None if low is None else low + 0.1)

    none, high, gap, nothing, room = at(None, None), at(0.8, 0.7), at(0.2, 0.1), at(-0.1, -0.2), at(0.1, 0.05)
    unknown, apart, near, wide = [none, none], [gap, gap], at(-0.15, -0.2), ResampledMean(-0.1, -0.3, 0.1)
    assert verdict(none, none, unknown, none, unknown).startswith("Too few")
    assert verdict(at(0.5, 0.5), gap, [nothing, none], room, apart).startswith("No signal")
    for leaked, behind in (([room, nothing], [near, gap]), ([nothing, room], [gap, near])):
        assert verdict(high, gap, leaked, room, behind).startswith("Suspicious")
        assert verdict(at(0.5, 0.5), gap, leaked, room, behind).startswith("Suspicious")
        for no_evidence in (apart, unknown, [wide, wide], behind[::-1]):
            assert verdict(high, gap, leaked, room, no_evidence).startswith("More than training explains")
    assert verdict(high, none, unknown, none, unknown).startswith("Training items rank above chance")
    assert verdict(high, gap, [nothing, nothing], at(0.1, -0.01), [near, near]).startswith("Too coarse")
    assert verdict(high, gap, [at(0.1, 0.0), nothing], room, apart).startswith("No sign of a leak")


def world(seed: int, n_users: int = 250, n_items: int = 300) -> tuple[Splits, list[str], list[list[str]]]:
    """Users with two of six tastes that last; items' texts; each text's words: a taste's, its own, and common ones."""
    rng = np.random.default_rng(seed)
    taste = rng.integers(0, 6, n_items)
    words = [
        [f"taste{taste[item]}{letter}" for letter in rng.choice(list("abcdefgh"), 4)]
        + [f"own{item}x", f"own{item}y"]
        + [f"common{n}" for n in rng.integers(0, 8, 2)]
        for item in range(n_items)
    ]
    splits: dict[str, list[tuple[int, int]]] = {"train": [], "valid": [], "test": []}
    for user in range(n_users):
        liked = rng.choice(6, 2, replace=False)
        weights = np.where(np.isin(taste, liked), 8.0, 1.0)
        drawn = rng.choice(n_items, int(rng.integers(10, 40)), replace=False, p=weights / weights.sum())
        cuts = [int(0.6 * len(drawn)), int(0.8 * len(drawn))]
        for name, part in zip(splits, np.split(drawn, cuts), strict=True):
            splits[name] += [(user, int(item)) for item in part]
    return {name: np.array(pairs) for name, pairs in splits.items()}, [" ".join(each) for each in words], words


def terms(splits: Splits, names: tuple[str, ...], texts: list[str], top: int, latest: int = 99) -> list[str]:
    """The `top` TF-IDF terms of each user's (latest) items in these splits."""
    vectorizer = TfidfVectorizer()
    weights = vectorizer.fit_transform(texts).toarray()
    found = np.array(vectorizer.get_feature_names_out())
    pairs = np.concatenate([splits[name] for name in names])
    profiles = []
    for user in range(pairs[:, 0].max() + 1):
        total = weights[pairs[pairs[:, 0] == user, 1][-latest:]].sum(axis=0)
        best = np.argsort(-total, kind="stable")[:top]
        profiles.append(" ".join(found[best[total[best] > 0]]))
    return profiles


@pytest.mark.parametrize(("seed", "top", "latest"), [(0, 3, 99), (1, 20, 99), (2, 60, 5), (3, 8, 5)])
def test_tf_idf_of_the_training_history_is_never_suspicious(seed: int, top: int, latest: int) -> None:
    """Whatever the number of terms: broad ones rank training and test items alike, and know nothing all the same."""
    splits, texts, _ = world(seed)
    profiles, items = tf_idf(terms(splits, ("train",), texts, top, latest), texts)
    shown = np.concatenate([splits["train"][splits["train"][:, 0] == user][-latest:] for user in range(250)])
    for known in (None, shown):
        found = leak("tfidf", profiles, items, splits, shown=known, items_by="tf-idf")
        assert not found.verdict.startswith("Suspicious"), found


@pytest.mark.parametrize("leaked", [("train", "valid", "test"), ("train", "test"), ("train", "valid"), ("test",)])
def test_a_planted_leak_is_found(leaked: tuple[str, ...]) -> None:
    splits, texts, _ = world(len(leaked))
    profiles, items = tf_idf(terms(splits, leaked, texts, 60), texts)
    found = leak("leaky", profiles, items, splits, shown=splits["train"], items_by="tf-idf")
    assert found.verdict.startswith("Suspicious"), found
    dense = leak("leaky", profiles.toarray(), items.toarray(), splits)
    assert dense.verdict.startswith("Suspicious"), dense


def test_broad_profiles_are_too_coarse_to_show_a_leak() -> None:
    """A word for the user's taste says the same of training and of test items: no gap, no leak, and no proof either."""
    splits, texts, words = world(0)
    common = [Counter(w for item in items for w in words[item][:1]).most_common(1)[0][0] for items in by_user(splits)]
    profiles, items = tf_idf(common, texts)
    found = leak("broad", profiles, items, splits)
    assert abs(found.gap) < 0.06
    assert found.verdict.startswith("Too coarse")


def by_user(splits: Splits) -> list[list[int]]:
    train = splits["train"]
    return [train[train[:, 0] == user, 1].tolist() for user in range(train[:, 0].max() + 1)]


def test_users_beyond_a_bound_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    splits, texts, _ = world(1)
    profiles, items = tf_idf(terms(splits, ("train",), texts, 20), texts)
    whole = leak("tfidf", profiles, items, splits)
    monkeypatch.setattr(module, "USERS", 80)
    some = leak("tfidf", profiles, items, splits)
    assert (whole.users, some.users) == (250, 80)
    assert some.gap == pytest.approx(whole.gap, abs=0.05)
    assert leak("tfidf", profiles, items, splits) == some
    assert leak("tfidf", profiles, items, splits, seed=1) != some


def test_nobody_and_nothing(splits: Splits) -> None:
    found = leak("a", np.zeros((USERS, DIM)), np.ones((ITEMS, DIM)), splits)
    assert (found.users, found.train.mean, found.gap) == (0, None, None)
    empty = {name: np.empty((0, 2), dtype=np.int64) for name in splits}
    assert leak("a", np.ones((USERS, DIM)), np.ones((ITEMS, DIM)), empty).users == 0
    assert leak("a", np.ones((USERS, DIM)), np.zeros((ITEMS, DIM)), splits).users == 0
    alike = leak("a", np.ones((USERS, DIM)), np.ones((ITEMS, DIM)), splits)
    assert alike.train.mean == alike.test.mean == 0.5
