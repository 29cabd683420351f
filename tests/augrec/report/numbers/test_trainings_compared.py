"""Tests over seeds and over draws of a language model."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from augrec.artefacts.errors import DataError
from augrec.report.numbers.comparison import compare
from augrec.report.numbers.trainings import Trainings
from augrec.report.numbers.variants import Trained, over_draws
from augrec.report.options import Inference

NOBODY = np.arange(0)


def trained(name: str, values: dict[int, float], *, deterministic: bool = False) -> Trained:
    metrics = {seed: {"test": {"coverage@20": at}, "deterministic": deterministic} for seed, at in values.items()}
    return Trained(name, metrics, NOBODY, {})


def drawn(name: str, table: np.ndarray, *, deterministic: bool = False) -> Trained:
    """One variant of several draws: [draws, seeds]."""
    rows = [dict(enumerate(row.tolist())) for row in table]
    draws = [trained(f"{name}-{n}", row, deterministic=deterministic) for n, row in enumerate(rows)]
    return over_draws(name, draws)


def trainings(first: Trained, second: Trained) -> Trainings:
    return Trainings.of(first, second, "coverage@20")


def test_seeds_are_paired_by_number_not_by_position() -> None:
    first = trained("a", {3: 0.31, 1: 0.30, 2: 0.33, 9: 0.99})
    second = trained("b", {1: 0.28, 2: 0.32, 3: 0.30})
    expected = stats.ttest_rel([0.30, 0.33, 0.31], [0.28, 0.32, 0.30]).pvalue
    assert trainings(first, second).difference().p == pytest.approx(expected)


def test_equivalence_over_seeds_is_the_larger_of_two_one_sided_tests() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0.3, 0.01, (2, 5))
    found = trainings(*(trained(name, dict(enumerate(row.tolist()))) for name, row in zip("ab", values, strict=True)))
    difference = values[0] - values[1]
    too_high = stats.ttest_1samp(difference, 0.02, alternative="less").pvalue
    too_low = stats.ttest_1samp(difference, -0.02, alternative="greater").pvalue
    assert found.equivalence(0.02).p == pytest.approx(max(too_high, too_low))


def test_what_draws_nothing_stands_beside_every_seed_of_the_other() -> None:
    expected = stats.ttest_1samp([0.41, 0.43, 0.42], 0.4).pvalue
    drew, fixed = trained("a", {0: 0.41, 1: 0.43, 2: 0.42}), trained("b", {7: 0.4}, deterministic=True)
    assert trainings(drew, fixed).difference().p == pytest.approx(expected)
    assert trainings(fixed, drew).difference().p == pytest.approx(expected)


def test_what_cannot_be_tested_says_why() -> None:
    same = trainings(trained("a", {0: 0.4, 1: 0.4, 2: 0.4}), trained("b", {0: 0.3, 1: 0.3, 2: 0.3}))
    assert same.difference().reason == "the difference is the same for all seeds"
    assert same.equivalence(0.2).p == 0
    assert same.equivalence(0.05).p == 1
    assert same.detectable(0.05) is None
    fixed = trainings(*(trained(name, {0: at, 1: at}, deterministic=True) for name, at in (("a", 0.4), ("b", 0.3))))
    assert "training again repeats the difference" in (fixed.difference().reason or "")
    one = trainings(trained("a", {0: 0.4}), trained("b", {0: 0.3}))
    assert one.difference().reason == "fewer than two seeds in common"
    assert one.equivalence(0.2).p is None
    apart = trainings(trained("a", {0: 0.4, 1: 0.5}), trained("b", {2: 0.3, 3: 0.2}))
    assert apart.difference().reason == "fewer than two seeds in common"


def test_of_a_closed_form_the_draws_are_tested() -> None:
    table = np.array([[0.41], [0.44], [0.42]])
    found = trainings(drawn("a", table, deterministic=True), trained("b", {0: 0.4}, deterministic=True))
    assert found.difference().p == pytest.approx(stats.ttest_1samp(table[:, 0], 0.4).pvalue)


def test_draws_of_one_source_are_paired_by_number() -> None:
    rng = np.random.default_rng(1)
    level = rng.normal(0, 0.05, (3, 1))
    first, second = (0.3 + gain + level + rng.normal(0, 0.002, (3, 4)) for gain in (0.02, 0.0))
    found = trainings(drawn("a", first), drawn("b", second))
    assert found.differences == pytest.approx(first - second)
    assert (found.difference().p or 1.0) < 0.01


@pytest.mark.parametrize(
    ("of_draw", "of_seed", "left"), [(0.0, 0.0, 0.02), (0.02, 0.0, 0.01), (0.0, 0.02, 0.01), (0.02, 0.02, 0.01)]
)
def test_with_draws_false_alarms_are_as_rare_as_promised(of_draw: float, of_seed: float, left: float) -> None:
    rng = np.random.default_rng(2)
    base = trained("b", dict.fromkeys(range(5), 0.3))
    alarms = []
    for _ in range(400):
        table = rng.normal(0, of_draw, (3, 1)) + rng.normal(0, of_seed, (1, 5)) + rng.normal(0, left, (3, 5))
        alarms.append((trainings(drawn("a", 0.3 + table), base).difference().p or 1.0) < 0.05)
    assert np.mean(alarms) < 0.085


@pytest.mark.parametrize(
    ("of_draw", "of_seed", "largest"), [(0.03, 0.03, "together"), (0.2, 0.0, "draws"), (0.0, 0.2, "seeds")]
)
def test_with_draws_the_test_is_that_of_the_mean_squares_in_loops(of_draw: float, of_seed: float, largest: str) -> None:
    rng = np.random.default_rng(7)
    table = 0.05 + of_draw * np.array([[-1.0], [0.3], [0.7]]) + of_seed * np.array([-1.0, 0.2, 0.5, 0.3])
    left = rng.normal(0, 0.02, table.shape)
    table += left - left.mean(axis=0) - left.mean(axis=1, keepdims=True) + left.mean()
    mean, (draws, seeds) = sum(map(sum, table.tolist())) / table.size, table.shape
    in_draw, in_seed = [row.mean() for row in table], [column.mean() for column in table.T]
    of = {
        "draws": seeds * sum((one - mean) ** 2 for one in in_draw) / (draws - 1),
        "seeds": draws * sum((one - mean) ** 2 for one in in_seed) / (seeds - 1),
    }
    both = sum((table[d, s] - in_draw[d] - in_seed[s] + mean) ** 2 for d in range(draws) for s in range(seeds))
    both /= (draws - 1) * (seeds - 1)
    of["together"] = of["draws"] + of["seeds"] - both
    spread = of["draws"] ** 2 / (draws - 1) + of["seeds"] ** 2 / (seeds - 1) + both**2 / ((draws - 1) * (seeds - 1))
    degrees = {"draws": draws - 1, "seeds": seeds - 1, "together": of["together"] ** 2 / spread}[largest]
    assert of[largest] == max(of.values())
    error = (of[largest] / table.size) ** 0.5
    found = trainings(drawn("a", 0.3 + table), trained("b", dict.fromkeys(range(seeds), 0.3)))
    assert found.difference().p == pytest.approx(2 * stats.t.sf(abs(mean) / error, degrees))
    assert found.equivalence(0.06).p == pytest.approx(stats.t.sf((0.06 - abs(mean)) / error, degrees))
    wanted = (stats.t.isf(0.025, degrees) + stats.t.isf(0.2, degrees)) * error
    assert found.detectable(0.05) == pytest.approx(wanted)


def test_means_of_draws_are_means_and_keep_every_draw() -> None:
    table = np.array([[0.2, 0.4], [0.3, 0.5], [0.7, 0.9]])
    found = drawn("a", table)
    assert found.values("coverage@20") == pytest.approx({0: 0.4, 1: 0.6})
    assert found.mean("coverage@20") == pytest.approx(table.mean())
    assert [draw.name for draw in found.each_draw] == ["a-0", "a-1", "a-2"]
    alone = trained("b", {0: 0.1})
    assert over_draws("b", [alone]) is alone
    with pytest.raises(DataError, match="trained with other seeds"):
        over_draws("c", [alone, trained("d", {1: 0.1})])


def test_a_comparison_pairs_users_seeds_and_draws() -> None:
    rng = np.random.default_rng(3)
    users, level = np.arange(40), rng.random(40)

    def once(name: str, gain: float) -> Trained:
        by_seed = {seed: {"recall@20": level + gain + rng.normal(0, 0.01, 40)} for seed in range(4)}
        metrics = {seed: {"test": {"recall@20": float(of["recall@20"].mean())}} for seed, of in by_seed.items()}
        return Trained(
            name, metrics, users, {"recall@20": np.mean([t["recall@20"] for t in by_seed.values()], axis=0)}, by_seed
        )

    draws = [once(f"llm-{n}", gain) for n, gain in enumerate((0.01, 0.06, 0.03))]
    base = once("base", 0.0)
    found = compare(over_draws("llm", draws), base, ["recall@20"], Inference(bootstrap=400))["recall@20"]
    single = compare(draws[1], base, ["recall@20"], Inference(bootstrap=400))["recall@20"]
    expected = np.mean([[d.by_seed[s]["recall@20"] - base.by_seed[s]["recall@20"] for s in range(4)] for d in draws])
    assert found.difference == pytest.approx(expected)
    assert (found.paired_draws, found.paired_seeds, found.n_users) == (3, 4, 40)
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert single.ci_low is not None
    assert single.ci_high is not None
    assert found.ci_high - found.ci_low > 3 * (single.ci_high - single.ci_low), "the draws differ by more than all else"
    assert (found.p_seeds or 0.0) > 0.05 > (single.p_seeds or 1.0)
