"""The interval over users and seeds: its variance against loops, a fitted mixed model and simulation."""

from __future__ import annotations

import math
import tracemalloc
from itertools import combinations

import numpy as np
import pytest
from scipy import optimize, stats

from augrec.report.numbers.comparison import Comparison, compare, corrected
from augrec.report.numbers.estimates import Estimates
from augrec.report.numbers.intervals import intervals
from augrec.report.numbers.pairs import paired_values
from augrec.report.numbers.resampling import Resampling
from augrec.report.numbers.variants import Trained, over_draws
from augrec.report.options import Inference


def table(rng: np.random.Generator, seeds: int, users: int, spreads: tuple[float, float, float]) -> np.ndarray:
    """[seeds, users] around zero, from deviations of users, of seeds, and of what is left."""
    of_user, of_seed, left = spreads
    return rng.normal(0, of_user, users) + rng.normal(0, of_seed, (seeds, 1)) + rng.normal(0, left, (seeds, users))


def ends(values: np.ndarray, samples: int = 500, alpha: float = 0.05, seed: int = 0) -> tuple[float, float]:
    found = intervals(values.reshape(-1, *values.shape[-2:], 1), samples, alpha, np.random.default_rng(seed))
    return float(found.low[0]), float(found.high[0])


def error(values: np.ndarray) -> float:
    return float(intervals(values.reshape(-1, *values.shape[-2:], 1), 2, 0.05, np.random.default_rng(0)).error[0])


def mean_squares(values: np.ndarray) -> tuple[float, float, float]:
    """Of users, of seeds and of the residual, number by number."""
    seeds, users = values.shape
    mean = sum(float(value) for row in values for value in row) / (seeds * users)
    of_user = [sum(float(values[s, u]) for s in range(seeds)) / seeds for u in range(users)]
    of_seed = [sum(float(values[s, u]) for u in range(users)) / users for s in range(seeds)]
    left = sum((values[s, u] - of_user[u] - of_seed[s] + mean) ** 2 for s in range(seeds) for u in range(users))
    return (
        seeds * sum((at - mean) ** 2 for at in of_user) / (users - 1),
        users * sum((at - mean) ** 2 for at in of_seed) / (seeds - 1),
        float(left) / ((users - 1) * (seeds - 1)),
    )


def test_the_standard_error_is_that_of_the_analysis_of_variance() -> None:
    values = table(np.random.default_rng(1), 4, 25, (0.3, 0.1, 0.2)) + 0.5
    of_users, of_seeds, left = mean_squares(values)
    assert of_seeds > left
    assert error(values) ** 2 == pytest.approx((of_users + of_seeds - left) / values.size)


def test_the_standard_error_is_that_of_a_mixed_model() -> None:
    """A mixed model with crossed random effects, fitted by restricted likelihood on the dense covariance."""
    values = table(np.random.default_rng(2), 4, 12, (0.3, 0.15, 0.2)) + 1.0
    seeds, users = values.shape
    same_user = np.kron(np.ones((seeds, seeds)), np.eye(users))
    same_seed = np.kron(np.eye(seeds), np.ones((users, users)))
    y, ones = values.ravel(), np.ones(values.size)

    def covariance(logs: np.ndarray) -> np.ndarray:
        of_user, of_seed, left = np.exp(logs)
        return of_user * same_user + of_seed * same_seed + left * np.eye(values.size)

    def loss(logs: np.ndarray) -> float:
        v = covariance(logs)
        weighed = np.linalg.solve(v, ones)
        known = ones @ weighed
        residual = y - (y @ weighed) / known
        return float(np.linalg.slogdet(v)[1] + np.log(known) + residual @ np.linalg.solve(v, residual))

    fitted = optimize.minimize(
        loss, np.log([0.1, 0.05, 0.05]), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10}
    )
    known = ones @ np.linalg.solve(covariance(fitted.x), ones)
    assert error(values) == pytest.approx(known**-0.5, rel=1e-4)


@pytest.mark.parametrize(
    ("seeds", "spreads", "least"),
    [
        (5, (0.1, 0.02, 0.1), 0.90),  # seeds weigh most
        (5, (0.1, 0.004, 0.2), 0.92),
        (5, (0.1, 0.0, 0.3), 0.92),  # only what a training does to single users
        (1, (0.1, 0.0, 0.1), 0.91),
    ],
)
def test_intervals_cover_what_they_promise(seeds: int, spreads: tuple[float, float, float], least: float) -> None:
    rng = np.random.default_rng(3)
    found = [ends(table(rng, seeds, 100, spreads), 300, seed=n) for n in range(300)]
    assert least < np.mean([low <= 0 <= high for low, high in found]) < 0.99


def test_users_alone_miss_what_seeds_do() -> None:
    """The interval that holds trainings fixed, on the same tables: it covers far less than it promises."""
    rng = np.random.default_rng(4)
    tables = [table(rng, 5, 100, (0.1, 0.04, 0.1)) for _ in range(200)]
    fixed = [ends(values.mean(axis=0, keepdims=True), 300, seed=n) for n, values in enumerate(tables)]
    assert np.mean([low <= 0 <= high for low, high in fixed]) < 0.85


def test_of_one_seed_it_is_the_interval_over_users() -> None:
    values = np.random.default_rng(5).exponential(1.0, (1, 400))
    draw = np.random.default_rng(6)
    means = [values[0][draw.integers(0, 400, 400)].mean() for _ in range(4000)]
    assert ends(values, 4000) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.015)


def test_of_many_users_without_any_spread_the_seeds_remain() -> None:
    """What a t interval over the seeds says: the bootstrap of five is as wide, on average."""
    rng = np.random.default_rng(7)
    ratios = []
    for n in range(60):
        by_seed = rng.normal(0, 1, 5)
        low, high = ends(np.repeat(by_seed[:, None], 50, axis=1), 2000, seed=n)
        known = stats.t.interval(0.95, 4, by_seed.mean(), stats.sem(by_seed))
        ratios.append((high - low) / (known[1] - known[0]))
    assert 0.9 < np.mean(ratios) < 1.05


def test_one_user_who_differs_otherwise_with_every_seed_is_chance_over_users() -> None:
    """The two seeds add nothing to what they do to that user: but for rounding, which left next to no degrees."""
    values = np.zeros((2, 200))
    values[:, 7] = 0.43067656, -0.63092975
    assert ends(values) == pytest.approx(ends(values.mean(axis=0, keepdims=True)))


@pytest.mark.parametrize("shape", [(1, 2, 40), (1, 5, 40), (3, 2, 40), (1, 5, 3)])
def test_intervals_have_no_fewer_degrees_than_the_factor_of_the_fewest_levels(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(12)
    users = rng.normal(0, 1, (1, 1, shape[2], 300))
    turned = users * rng.choice([-1.0, 1.0], (*shape[:2], 1, 300)) + rng.normal(0, 0.05, (*shape[:2], 1, 300))
    found = intervals(turned, 50, 0.05, rng)
    least = min(levels - 1 for levels in shape if levels > 1)
    assert found.degrees.min() >= least
    assert (found.high - found.low < 4 * stats.t.isf(0.025, least) * found.error).all()


def test_columns_are_those_of_single_columns_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(8).random((2, 3, 40, 2))
    both = intervals(values, 200, 0.1, np.random.default_rng(9))
    alone = intervals(values[..., :1], 200, 0.1, np.random.default_rng(9))
    assert both.low[0] == pytest.approx(alone.low[0])
    monkeypatch.setattr("augrec.report.numbers.statistics.RESAMPLED_CELLS", 400)
    blocks = intervals(values, 200, 0.1, np.random.default_rng(9))
    assert np.allclose([both.low, both.high], [blocks.low, blocks.high])


def test_nothing_varies_and_one_user() -> None:
    assert ends(np.full((5, 30), 0.25)) == (0.25, 0.25)
    assert np.isnan(ends(np.ones((5, 1)))).all()


def test_a_hundred_thousand_users_take_a_bounded_block_of_memory() -> None:
    values = np.random.default_rng(10).random((1, 5, 100_000, 1))
    tracemalloc.start()
    try:
        intervals(values, 60, 0.05, np.random.default_rng(0))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200e6, "more than the draws of one block and a few tables of users"


USERS = np.arange(50)


def variant(name: str, seeds: range, gain: float = 0.0, *, deterministic: bool = False) -> Trained:
    rng = np.random.default_rng(list(name.encode()))
    level = np.random.default_rng(0).random(len(USERS))
    once = level + gain + rng.normal(0, 0.05, len(USERS))
    by_seed = {
        seed: {"recall@20": once if deterministic else level + gain + rng.normal(0, 0.05, len(USERS))} for seed in seeds
    }
    metrics = {
        seed: {"test": {"recall@20": float(of["recall@20"].mean())}, "deterministic": deterministic}
        for seed, of in by_seed.items()
    }
    per_user = {"recall@20": np.mean([of["recall@20"] for of in by_seed.values()], axis=0)}
    return Trained(name, metrics, USERS, per_user, by_seed)


def test_pairs_are_made_of_the_seeds_that_both_were_trained_with() -> None:
    first, second = variant("a", range(1, 6)), variant("b", range(3, 9))
    pair = paired_values(first, second, "recall@20")
    assert pair is not None
    assert pair.seeds == 3
    expected = [first.by_seed[seed]["recall@20"] - second.by_seed[seed]["recall@20"] for seed in (3, 4, 5)]
    assert np.array_equal(pair.differences, [expected])
    found = compare(first, second, ["recall@20"], Inference(bootstrap=100))["recall@20"]
    assert found.difference == pytest.approx(np.mean(expected))
    assert (found.paired_seeds, found.n_users) == (3, 50)


@pytest.mark.parametrize("lacking", [("a", 2), ("b", 3)])
def test_a_user_without_a_value_at_one_seed_is_in_no_pair(lacking: tuple[str, int]) -> None:
    both = {name: variant(name, range(1, 5)) for name in "ab"}
    name, seed = lacking
    both[name].by_seed[seed]["recall@20"][7] = np.nan
    pair = paired_values(both["a"], both["b"], "recall@20")
    assert pair is not None
    assert pair.differences.shape == (1, 4, 49)
    assert np.isfinite(pair.differences).all()


def test_a_metric_that_one_variant_lacks_has_no_pairs() -> None:
    first, second = variant("a", range(3)), variant("b", range(3))
    del second.per_user["recall@20"]
    assert paired_values(first, second, "recall@20") is None
    assert paired_values(second, first, "recall@20") is None


def test_seeds_are_paired_by_number_in_whatever_order_they_were_read() -> None:
    first, second = variant("a", range(3)), variant("b", range(3))
    turned = [
        Trained(one.name, one.metrics, USERS, one.per_user, {seed: one.by_seed[seed] for seed in (2, 0, 1)})
        for one in (first, second)
    ]
    there = paired_values(first, second, "recall@20")
    assert there is not None
    for again in (paired_values(first, turned[1], "recall@20"), paired_values(turned[0], second, "recall@20")):
        assert again is not None
        assert np.array_equal(there.differences, again.differences)


def test_what_draws_nothing_stands_beside_every_seed_of_the_other() -> None:
    fixed, drawn = variant("a", range(1), deterministic=True), variant("b", range(5))
    there, back = paired_values(fixed, drawn, "recall@20"), paired_values(drawn, fixed, "recall@20")
    assert there is not None
    assert back is not None
    assert there.differences.shape == (1, 5, 50)
    assert np.array_equal(there.differences, -back.differences)
    both = paired_values(fixed, variant("c", range(3), deterministic=True), "recall@20")
    assert both is not None
    assert both.seeds == 1
    once = paired_values(fixed, variant("c", range(7, 8), deterministic=True), "recall@20")
    assert once is not None
    assert once.differences.shape == (1, 1, 50)


def test_one_draw_stands_beside_each_of_several_and_several_are_paired_by_number() -> None:
    one, *three = (variant(name, range(2)) for name in "abcd")
    several, two = over_draws("several", three), over_draws("two", three[:2])
    for pair, sign in (
        (paired_values(one, several, "recall@20"), 1),
        (paired_values(several, one, "recall@20"), -1),
    ):
        assert pair is not None
        assert pair.draws == 3
        for draw, differences in zip(three, sign * pair.differences, strict=True):
            expected = [one.by_seed[seed]["recall@20"] - draw.by_seed[seed]["recall@20"] for seed in (0, 1)]
            assert np.allclose(differences, expected)
    for pair in (paired_values(two, several, "recall@20"), paired_values(several, two, "recall@20")):
        assert pair is not None
        assert np.array_equal(pair.differences, np.zeros((2, 2, 50)))


@pytest.mark.parametrize("deterministic", [False, True])
def test_of_a_variant_that_kept_no_seed_the_means_are_compared(deterministic: bool) -> None:
    drew, fixed = variant("a", range(3)), variant("b", range(1), deterministic=deterministic)
    means = Trained("b", fixed.metrics, USERS, fixed.per_user)
    for pair, sign in ((paired_values(drew, means, "recall@20"), 1), (paired_values(means, drew, "recall@20"), -1)):
        assert pair is not None
        assert pair.seeds == 0
        expected = drew.per_user["recall@20"] - fixed.per_user["recall@20"]
        assert np.allclose(sign * pair.differences, [[expected]])


def test_without_a_common_seed_the_means_are_compared_and_nothing_is_said_of_seeds() -> None:
    found = compare(variant("a", range(3)), variant("b", range(5, 8)), ["recall@20"], Inference(bootstrap=100))
    assert found["recall@20"].paired_seeds == 0
    assert found["recall@20"].p_seeds is None
    assert found["recall@20"].ci_low is not None


def test_seeds_that_spread_widen_the_interval_of_a_mean() -> None:
    calm = variant("a", range(5))
    wild = Trained(
        "w",
        calm.metrics,
        calm.users,
        calm.per_user,
        {seed: {"recall@20": of["recall@20"] + 0.1 * (seed - 2)} for seed, of in calm.by_seed.items()},
    )
    widths = []
    for one in (calm, wild):
        estimates = Estimates(Resampling(Inference(bootstrap=400)))
        estimates.add("one", one, "recall@20")
        found = estimates.of("one")
        assert found.low is not None
        assert found.high is not None
        widths.append(found.high - found.low)
    assert widths[1] > 1.5 * widths[0]


def drawn(rng: np.random.Generator, draws: int, seeds: int, users: int, spreads: dict[str, float]) -> np.ndarray:
    """[draws, seeds, users] around zero, from deviations by the letters of their factors."""
    shape = {"d": draws, "s": seeds, "u": users}
    total = np.zeros((draws, seeds, users))
    for factors, spread in spreads.items():
        total = total + rng.normal(0, spread, [size if name in factors else 1 for name, size in shape.items()])
    return total


def true_error(draws: int, seeds: int, users: int, spreads: dict[str, float]) -> float:
    """The standard error of the mean: each deviation is drawn as often as its factors have levels together."""
    sizes = {"d": draws, "s": seeds, "u": users}
    return math.sqrt(sum(spread**2 / math.prod(sizes[name] for name in factors) for factors, spread in spreads.items()))


DRAWN = {"u": 0.1, "s": 0.01, "d": 0.02, "us": 0.05, "ud": 0.05, "sd": 0.015, "usd": 0.1}


def test_with_draws_the_variance_is_that_of_three_crossed_factors_on_average() -> None:
    rng = np.random.default_rng(11)
    found = [error(drawn(rng, 3, 5, 60, DRAWN)) ** 2 for _ in range(400)]
    assert np.mean(found) == pytest.approx(true_error(3, 5, 60, DRAWN) ** 2, rel=0.1)


def square(values: np.ndarray, *axes: int) -> float:
    """The mean square of the effect of some axes of [draws, seeds, users], number by number; 0 of one level.

    The effect is what is left of their means without all that fewer of them explain.
    """
    if 1 in (sizes := [values.shape[axis] for axis in axes]):
        return 0.0
    total = 0.0
    for at in np.ndindex(*sizes):
        effect = 0.0
        for size in range(len(axes) + 1):
            for inner in combinations(range(len(axes)), size):
                place = [slice(None)] * 3
                for n in inner:
                    place[axes[n]] = at[n]
                effect += (-1) ** (len(axes) - size) * values[tuple(place)].mean()
        total += effect**2
    return values.size / math.prod(sizes) * total / math.prod(size - 1 for size in sizes)


def test_with_draws_the_standard_error_is_that_of_the_mean_squares_in_loops() -> None:
    values = drawn(np.random.default_rng(12), 3, 4, 9, DRAWN) + 0.4
    factors = ((2,), (1,), (0,), (1, 2), (0, 2), (0, 1), (0, 1, 2))
    u, s, d, us, ud, sd, usd = (square(values, *axes) for axes in factors)
    assert d + s - sd > us + ud - usd
    assert error(values) ** 2 == pytest.approx((u + s + d - us - ud - sd + usd) / values.size)


@pytest.mark.parametrize(("draws", "seeds"), [(1, 1), (1, 4), (3, 1), (3, 4)])
@pytest.mark.parametrize("of_trainings", [0.0, 0.3])
def test_an_interval_is_that_of_its_own_resamples_widened_by_what_few_trainings_leave_unknown(
    draws: int, seeds: int, of_trainings: float
) -> None:
    """Deviations of users, seeds and draws are resampled each for itself, and scaled to the mean squares in loops."""
    spreads = {"u": 0.1, "s": of_trainings, "d": of_trainings, "us": 0.1, "ud": 0.1, "usd": 0.1}
    values, samples, alpha = drawn(np.random.default_rng(15), draws, seeds, 6, spreads) + 0.4, 40, 0.1
    if not of_trainings:
        values -= values.mean(axis=2, keepdims=True)  # all trainings are equally good, each for other users
    squares = {axes: square(values, *axes) for size in (1, 2, 3) for axes in combinations(range(3), size)}
    of_users, sizes, mean = squares[2,], values.shape, values.mean()
    alone = squares[0,] + squares[1,] - squares[0, 1]
    trainings = max(0.0, alone - squares[0, 2] - squares[1, 2] + squares[0, 1, 2])
    assert (trainings > 0) == (of_trainings > 0 and draws * seeds > 1)
    counted = {axes: at for axes, at in squares.items() if at and (trainings or axes == (2,))}
    left = sum(at**2 / math.prod(sizes[axis] - 1 for axis in axes) for axes, at in counted.items())
    degrees = (of_users + trainings) ** 2 / left
    resampled = squares[0,] * (draws - 1) / draws + squares[1,] * (seeds - 1) / seeds
    scale = math.sqrt(trainings / resampled) if trainings else 0.0
    rng = np.random.default_rng(7)
    shifts = np.zeros(samples)
    for axis, factor in ((2, math.sqrt(6 / 5)), (1, scale), (0, scale)):
        levels = values.mean(axis=tuple({0, 1, 2} - {axis})) - mean
        if len(levels) > 1:
            shifts += factor * levels[rng.integers(0, len(levels), (samples, len(levels)))].mean(axis=1)
    shifts *= stats.t.isf(alpha / 2, degrees) / stats.norm.isf(alpha / 2)
    found = intervals(values[..., None], samples, alpha, np.random.default_rng(7))
    assert found.degrees[0] == pytest.approx(degrees)
    assert found.error[0] == pytest.approx(math.sqrt((of_users + trainings) / values.size))
    assert (found.low[0], found.high[0]) == pytest.approx(tuple(mean + np.quantile(shifts, [alpha / 2, 1 - alpha / 2])))


def test_intervals_over_draws_cover_what_one_draw_misses() -> None:
    rng = np.random.default_rng(13)
    spreads = {"u": 0.1, "s": 0.005, "d": 0.03, "usd": 0.1}
    tables = [drawn(rng, 3, 5, 100, spreads) for _ in range(300)]
    covered, alone = (
        np.mean(
            [low <= 0 <= high for low, high in (ends(values[:draws], 300, seed=n) for n, values in enumerate(tables))]
        )
        for draws in (3, 1)
    )
    assert covered > 0.92
    assert alone < 0.75


def of_values(name: str, values: np.ndarray) -> Trained:
    """A variant of values [seeds, users]."""
    metrics = {seed: {"test": {"recall@20": float(row.mean())}} for seed, row in enumerate(values)}
    by_seed = {seed: {"recall@20": row} for seed, row in enumerate(values)}
    return Trained(name, metrics, np.arange(values.shape[1]), {"recall@20": values.mean(axis=0)}, by_seed)


def family(rng: np.random.Generator, size: int, users: int = 150, seeds: int = 5) -> list[Comparison]:
    """As many comparisons of variants that are alike with one baseline, corrected together."""
    inference = Inference(bootstrap=300, flips=50)
    base = of_values("base", table(rng, seeds, users, (0.3, 0.0, 0.1)) + 1)
    pairs = {}
    for place in range(size):
        noise = table(rng, seeds, users, (0.2, 0.0, 0.1))
        other = of_values(f"v{place}", base.per_user["recall@20"] + noise)
        pairs[place] = compare(other, base, ["recall@20"], inference)
    return [found["recall@20"] for found in corrected(pairs).values()]


def test_intervals_of_a_family_are_widened_as_bonferroni_widens_a_test_over_users() -> None:
    (alone,) = family(np.random.default_rng(3), 1)
    assert (alone.family_low, alone.family_high) == pytest.approx((alone.ci_low, alone.ci_high))
    wider = stats.t.isf(0.05 / 5 / 2, 149) / stats.t.isf(0.05 / 2, 149)
    for one in family(np.random.default_rng(3), 5):
        assert one.difference is not None
        assert one.ci_low is not None
        assert one.family_low == pytest.approx(one.difference - wider * (one.difference - one.ci_low))


def test_intervals_of_a_family_hold_together() -> None:
    rng = np.random.default_rng(11)
    together = alone = 0
    for _ in range(60):
        found = family(rng, 6)
        together += all(one.family_low <= 0 <= one.family_high for one in found)  # type: ignore[operator]
        alone += all(one.ci_low <= 0 <= one.ci_high for one in found)  # type: ignore[operator]
    assert together / 60 >= 0.9
    assert alone / 60 <= 0.85
