"""The tests behind the p-values, held against scipy, naive loops and simulated data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from augrec.report.numbers.statistics import (
    bootstrap_intervals,
    equivalence_t,
    holm,
    paired_t,
    resampled_means,
    sign_flips,
)


def pairs(n: int, shift: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    base = rng.random(n)
    return base + shift + rng.normal(0, 0.1, n), base + rng.normal(0, 0.1, n)


def test_paired_t_is_the_t_statistic_of_the_differences() -> None:
    first, second = pairs(30, 0.03)
    difference = first - second
    t = difference.mean() / (difference.std(ddof=1) / np.sqrt(30))
    assert paired_t(first, second).p == pytest.approx(2 * stats.t.sf(abs(t), 29), rel=1e-10)


def flips(*columns: np.ndarray, seed: int = 0, draws: int = 9_999) -> list[float | None]:
    return [test.p for test in sign_flips(np.column_stack(columns), np.random.default_rng(seed), draws)]


def test_sign_flips_by_counting_every_sign_pattern() -> None:
    columns = [np.subtract(*pairs(8, shift, seed)) for seed, shift in enumerate((0.05, 0.2, 0.0))]
    columns[2] = np.round(columns[2], 1)  # many sums are equal
    for column, p in zip(columns, flips(*columns), strict=True):
        sums = [sum(d if mask >> i & 1 else -d for i, d in enumerate(column)) for mask in range(256)]
        assert p == np.mean([abs(total) >= abs(sum(column)) - 1e-12 for total in sums])


def test_sign_flips_of_many_users_agree_with_scipy_s_permutations() -> None:
    first, second = pairs(40, 0.03)
    found = stats.permutation_test(
        (first - second,), np.mean, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(5)
    )
    assert flips(first - second)[0] == pytest.approx(found.pvalue, abs=0.01)


def test_sign_flips_repeat_and_do_not_depend_on_their_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    difference = np.subtract(*pairs(50, 0.02))
    whole = flips(difference)
    assert flips(difference) == whole
    monkeypatch.setattr("augrec.report.numbers.statistics.SIGNS_AT_ONCE", 7 * 10_048)  # blocks of seven users
    assert flips(difference) == whole


def test_sign_flips_of_a_column_do_not_depend_on_the_others() -> None:
    columns = [np.subtract(*pairs(60, shift, seed)) for seed, shift in enumerate((0.0, 0.02, 0.04))]
    columns.append(np.where(np.arange(60) < 5, 0.1, 0.0))  # few enough for all signs
    assert flips(*columns) == [flips(column)[0] for column in columns]


def test_columns_that_no_draw_can_reach_are_not_drawn_for(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, users = np.random.default_rng(6), 400
    noise = rng.normal(0, 0.1, users)
    noise -= noise.mean()
    columns = [noise + share * noise.std() for share in (0.1, 0.3, 0.5, 0.6, 3.0)]  # 2 to 19 deviations of a sum
    judged = flips(*columns)
    assert judged[0] is not None
    assert judged[0] > judged[1] == pytest.approx(1e-4)
    monkeypatch.setattr("augrec.report.numbers.statistics.OUT_OF_REACH", np.inf)
    assert flips(*columns) == judged


@pytest.mark.parametrize("cells", [130, 7])
def test_resamples_do_not_depend_on_how_many_are_held_at_once(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(7).normal(size=(60, 3))
    whole = resampled_means(values, 50, np.random.default_rng(0))
    monkeypatch.setattr("augrec.report.numbers.statistics.RESAMPLED_CELLS", cells)  # two resamples at a time, or one
    monkeypatch.setattr("augrec.report.numbers.statistics.COUNTED_BYTES", 480)  # and eight multiplied
    np.testing.assert_allclose(resampled_means(values, 50, np.random.default_rng(0)), whole, rtol=1e-12)


def test_sums_in_single_precision_move_a_p_value_by_less_than_one_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    smooth = rng.normal(0.001, 0.1, 3000)
    thirds = (
        rng.integers(-3, 4, 3000) / 3 + rng.integers(0, 2, 3000) / 60
    )  # as recall of few items: many sums are equal
    columns = [smooth, thirds, np.where(rng.random(3000) < 0.9, 0.0, smooth), 1e-6 * smooth]
    exact = flips(*columns, draws=4999)
    monkeypatch.setattr("augrec.report.numbers.statistics.IN_SINGLE_PRECISION", 100)
    for single, double in zip(flips(*columns, draws=4999), exact, strict=True):
        assert single is not None
        assert double is not None
        assert 0 <= single - double <= 1.01 / 5000


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1e6])
def test_sign_flips_do_not_depend_on_the_unit(scale: float) -> None:
    tenths = np.array([1, 2, 3, -3, 4, -1, 2, 5])  # many sums are equal, but for rounding
    assert flips(tenths * (0.1 * scale)) == flips(tenths.astype(float))


def test_every_one_of_many_users_has_a_sign() -> None:
    for first in range(0, 72, 8):
        difference = np.full(72, 1e-12)  # not zero, and less than rounding
        difference[first : first + 2] = 1  # two of four sign patterns of these are as far from zero
        assert flips(difference)[0] == pytest.approx(0.5, abs=0.02)


def test_users_without_a_difference_change_nothing() -> None:
    difference = np.subtract(*pairs(30, 0.05))
    assert flips(np.concatenate([difference, np.zeros(500)])) == flips(difference)
    other = np.concatenate([difference, np.full(3, 0.2)])
    assert flips(np.concatenate([difference, np.zeros(3)]), other)[0] == pytest.approx(flips(difference)[0], abs=0.02)


def test_no_draw_is_as_far_as_a_clear_difference_and_p_is_never_zero() -> None:
    assert flips(np.random.default_rng(0).random(2000) + 0.1) == [pytest.approx(1 / 10_000)]


def test_up_to_thirteen_users_all_signs_are_looked_at_and_of_more_some_are_drawn() -> None:
    assert flips(np.ones(13)) == [2 / 2**13]
    drawn = flips(np.ones(14))[0]
    assert drawn is not None
    in_ten_thousand = drawn * 10_000  # of all 2^14 it would be 1.2
    assert in_ten_thousand == pytest.approx(round(in_ten_thousand), abs=1e-9)


def test_where_nobody_differs_there_is_no_test_and_a_reason() -> None:
    assert sign_flips(np.zeros((9, 1)), np.random.default_rng(0))[0].p is None
    columns = np.column_stack([np.zeros(9), np.ones(9)])
    nothing, something = sign_flips(columns, np.random.default_rng(0))
    assert nothing.p is None
    assert nothing.reason == "no difference for any of the users"
    assert something.p == 2 / 2**9
    assert "fewer than two" in (sign_flips(columns[:1], np.random.default_rng(0))[0].reason or "")


def test_skewed_differences_of_thousands_of_users_raise_no_false_alarms() -> None:
    """Means are equal, medians are not: the rank test, which asks after the medians, finds what is not asked."""
    rng = np.random.default_rng(8)
    alarms = {"ranks": 0, "flips": 0, "t": 0}
    for seed in range(200):
        difference = rng.exponential(1.0, 2000) - 1
        alarms["ranks"] += stats.wilcoxon(difference).pvalue < 0.05
        alarms["flips"] += (flips(difference, seed=seed, draws=399)[0] or 0) < 0.05
        alarms["t"] += (paired_t(difference, np.zeros(2000)).p or 0) < 0.05
    assert alarms["ranks"] > 150
    assert 2 <= alarms["flips"] <= 20
    assert 2 <= alarms["t"] <= 20


def test_identical_values_give_no_p_value_and_a_reason() -> None:
    same = np.linspace(0, 1, 9)
    result = paired_t(same, same.copy())
    assert result.p is None
    assert result.reason


def test_a_constant_difference_gives_no_p_value_despite_rounding() -> None:
    first = np.array([0.1, 0.2, 0.3, 0.4])
    assert paired_t(first + 0.1, first).p is None


def test_what_is_rounding_depends_on_the_size_of_the_values() -> None:
    large = np.array([1e6, 2e6, 3.3e6])
    assert np.ptp((large + 0.1) - large) > 0
    assert paired_t(large + 0.1, large).p is None
    small = np.array([1e-6, 2e-6, 3e-6])
    assert paired_t(small + np.array([1e-10, 2e-10, 3e-10]), small).p is not None


def test_one_pair_is_not_enough() -> None:
    assert "fewer than two" in (paired_t(np.array([0.3]), np.array([0.2])).reason or "")


def test_holm_by_hand() -> None:
    # sorted: .005 .01 .03 .04 -> x4 .02, x3 .03, x2 .06, x1 .04 raised to .06
    assert holm([0.01, 0.04, None, 0.03, 0.005]) == [0.03, 0.06, None, 0.06, 0.02]


@given(st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=60)
def test_values_that_are_absent_do_not_count_in_a_family(p_values: list[float | None]) -> None:
    known = holm([p for p in p_values if p is not None])
    assert [p for p in holm(p_values) if p is not None] == known
    assert [p is None for p in holm(p_values)] == [p is None for p in p_values]


def test_holm_ends_at_one() -> None:
    assert holm([0.6, 0.01, 0.9]) == [1.0, 0.03, 1.0]


def test_holm_of_nothing() -> None:
    assert holm([]) == []
    assert holm([None, None]) == [None, None]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=60)
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values: list[float]) -> None:
    corrected = holm(p_values)
    rejected: set[int] = set()
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[i] * (len(p_values) - rank) > 0.05:
            break
        rejected.add(i)
    assert {i for i, p in enumerate(corrected) if p is not None and p <= 0.05} == rejected


def test_bootstrap_agrees_with_scipy_and_a_naive_loop() -> None:
    rng = np.random.default_rng(3)
    columns = rng.normal([0.02, -0.1], [0.1, 0.3], (200, 2))
    low, high = bootstrap_intervals(columns, 4000, 0.05, np.random.default_rng(1))
    draw = np.random.default_rng(2)
    naive = np.array([columns[draw.integers(0, 200, 200)].mean(axis=0) for _ in range(4000)])
    assert low == pytest.approx(np.quantile(naive, 0.025, axis=0), abs=0.004)
    assert high == pytest.approx(np.quantile(naive, 0.975, axis=0), abs=0.004)
    independent = stats.bootstrap((columns[:, 1],), np.mean, n_resamples=4000, method="percentile", rng=5)
    assert (low[1], high[1]) == pytest.approx(independent.confidence_interval, abs=0.006)


def test_bootstrap_does_not_depend_on_its_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).random((50, 1))
    whole = bootstrap_intervals(values, 310, 0.1, np.random.default_rng(7))
    monkeypatch.setattr("augrec.report.numbers.statistics.RESAMPLED_CELLS", 1000)
    blocks = bootstrap_intervals(values, 310, 0.1, np.random.default_rng(7))  # of 20 resamples each, and ten are left
    assert np.allclose(whole, blocks)


@pytest.mark.parametrize("alpha", [0.0, 0.05, 0.3])
def test_bootstrap_gives_the_quantiles_of_its_own_draws(alpha: float) -> None:
    values = np.random.default_rng(4).normal(size=(9, 2))
    drawn = np.random.default_rng(7).integers(0, 9, size=(40, 9))
    means = values[drawn].mean(axis=1)
    low, high = bootstrap_intervals(values, 40, alpha, np.random.default_rng(7))
    np.testing.assert_allclose(low, np.quantile(means, alpha / 2, axis=0), rtol=1e-12)
    np.testing.assert_allclose(high, np.quantile(means, 1 - alpha / 2, axis=0), rtol=1e-12)


def test_bootstrap_of_two_users_lies_between_them() -> None:
    low, high = bootstrap_intervals(np.array([[0.2], [0.6]]), 200, 0.05, np.random.default_rng(0))
    assert (low[0], high[0]) == (0.2, 0.6)


def test_bootstrap_of_one_user_is_unknown() -> None:
    low, high = bootstrap_intervals(np.array([[0.2]]), 100, 0.05, np.random.default_rng(0))
    assert np.isnan(low).all()
    assert np.isnan(high).all()


def test_false_alarms_are_as_rare_as_promised() -> None:
    rng = np.random.default_rng(11)
    t_alarms = family_alarms = misses = 0
    for _ in range(400):
        base = rng.beta(1, 3, 120)
        p_values = [paired_t(base + rng.normal(0, 0.1, 120), base).p for _ in range(4)]
        t_alarms += sum(p is not None and p < 0.05 for p in p_values)
        family_alarms += any(p is not None and p < 0.05 for p in holm(p_values))
        differences = rng.normal(0, 0.1, (120, 1))
        low, high = bootstrap_intervals(differences, 200, 0.05, rng)
        misses += not low[0] <= 0 <= high[0]
    assert 0.03 < t_alarms / 1600 < 0.07
    assert 0.02 < family_alarms / 400 < 0.085
    assert 0.02 < misses / 400 < 0.10


def test_pairs_of_different_length_are_a_programming_error() -> None:
    with pytest.raises(ValueError, match="one length"):
        paired_t(np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="finite"):
        paired_t(np.array([np.nan, 1.0]), np.zeros(2))


def test_two_pairs_are_enough() -> None:
    first, second = np.array([3.0, 5.0]), np.array([1.0, 2.0])
    assert paired_t(first, second).p == pytest.approx(stats.ttest_rel(first, second).pvalue)
    [found] = sign_flips((first - second)[:, None], np.random.default_rng(0))
    assert found.p == pytest.approx(2 / 4)  # of ++, +-, -+, -- two are as far from zero


@pytest.mark.parametrize("n", [2, 40])
def test_equivalence_is_the_larger_of_two_one_sided_tests(n: int) -> None:
    first, second = pairs(n, 0.01)
    for margin in (0.005, 0.02, 0.1):
        too_high = stats.ttest_1samp(first - second, margin, alternative="less").pvalue
        too_low = stats.ttest_1samp(first - second, -margin, alternative="greater").pvalue
        assert equivalence_t(first, second, margin).p == pytest.approx(max(too_high, too_low))
        assert equivalence_t(second, first, margin).p == pytest.approx(max(too_high, too_low))


def test_equivalence_is_shown_where_the_interval_of_twice_the_level_lies_within_the_margin() -> None:
    rng = np.random.default_rng(2)
    shown = 0
    for seed in range(60):
        first, second = pairs(50, float(rng.normal(0, 0.02)), seed)
        low, high = stats.ttest_rel(first, second).confidence_interval(0.9)
        within = max(-low, high) < 0.04
        shown += within
        assert ((equivalence_t(first, second, 0.04).p or 1.0) < 0.05) == within
    assert 5 < shown < 55


def test_a_constant_difference_is_equivalent_when_it_is_smaller_than_the_margin() -> None:
    base = np.linspace(0, 1, 9)
    assert equivalence_t(base, base.copy(), 0.02).p == 0
    assert equivalence_t(base + 0.01, base, 0.02).p == 0
    assert equivalence_t(base - 0.03, base, 0.02).p == 1
    assert "fewer than two users" in (equivalence_t(base[:1], base[:1], 0.02).reason or "")


@pytest.mark.parametrize(("margin", "p"), [(0.25, 0.0), (0.125, 1.0), (0.0625, 1.0)])
def test_a_difference_that_never_varies_is_equivalent_only_where_it_is_below_the_margin(
    margin: float, p: float
) -> None:
    base = np.arange(9.0)
    assert equivalence_t(base + 0.125, base, margin).p == p


def test_as_many_signs_are_drawn_as_are_said_to_be() -> None:
    """The least p-value of users who all differ alike is one of the draws and the one observed."""
    [found] = sign_flips(np.ones((60, 1)), np.random.default_rng(0))
    assert found.p == 1 / 10_000
