"""The five words: what each needs, and how often each is said at known effects."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from augrec.report.numbers.comparison import Comparison, compare, corrected
from augrec.report.numbers.variants import Trained, over_draws
from augrec.report.numbers.verdicts import WORDS, Verdict, definitions, evidence, few_differ, verdict
from augrec.report.options import Inference

SHOWN = Comparison(
    difference=0.2,
    margin=0.3,
    p_users_holm=0.01,
    p_seeds=0.02,
    p_equivalence_users_holm=0.9,
    p_equivalence_seeds=0.9,
)


@pytest.mark.parametrize(
    ("difference", "p_users", "p_seeds", "word"),
    [
        (0.2, 0.01, 0.02, "better"),
        (-0.2, 0.01, 0.02, "worse"),
        (0.2, 0.01, 0.05, "undecided"),
        (0.2, 0.05, 0.01, "undecided"),
        (-0.2, 0.9, 0.01, "undecided"),
        (0.2, None, 0.01, "undecided"),
        (0.2, 0.01, None, "undecided"),
        (0.0, 0.01, 0.01, "undecided"),
        (None, 0.01, 0.01, "undecided"),
    ],
)
def test_a_difference_counts_when_both_tests_were_carried_out_and_both_say_so(
    difference: float | None, p_users: float | None, p_seeds: float | None, word: str
) -> None:
    compared = replace(SHOWN, difference=difference, p_users_holm=p_users, p_seeds=p_seeds)
    opposite = {"better": "worse", "worse": "better"}
    found, turned = verdict(compared, "recall@20", alpha=0.05), verdict(compared, "rmse", alpha=0.05)
    assert (found.word, turned.word) == (word, opposite.get(word, word))
    assert (found.sign, turned.sign) == {"better": (1, -1), "worse": (-1, 1), "undecided": (0, 0)}[word]


@pytest.mark.parametrize(("metric", "side"), [("recall@20", "ahead"), ("rmse", "behind")])
def test_equivalence_needs_both_tests_and_goes_before_a_difference(metric: str, side: str) -> None:
    both = replace(SHOWN, p_equivalence_users_holm=0.01, p_equivalence_seeds=0.02)
    assert verdict(both, metric, 0.05).sentence == f"equivalent: {side}, but by less than the margin of 0.3000"
    alike = replace(both, p_users_holm=0.8)
    assert verdict(alike, metric, 0.05).sentence == "equivalent: within ± 0.3000"
    for lacking in ({"p_equivalence_users_holm": 0.05}, {"p_equivalence_seeds": 0.05}, {"p_equivalence_seeds": None}):
        assert verdict(replace(alike, **lacking), metric, 0.05).word == "undecided"


def test_users_alone_decide_where_neither_draws_anything() -> None:
    fixed = replace(SHOWN, p_seeds=None, p_equivalence_seeds=None)
    assert verdict(fixed, "recall@20", 0.05).word == "undecided"
    fixed = replace(fixed, fixed=True)
    assert verdict(fixed, "recall@20", 0.05).sentence == "better: neither draws anything, so the users alone decide"
    assert verdict(SHOWN, "recall@20", 0.05).sentence == "better"
    assert verdict(replace(fixed, p_users_holm=0.3), "recall@20", 0.05).word == "undecided"
    assert verdict(replace(fixed, p_equivalence_users_holm=0.01), "recall@20", 0.05).word == "equivalent"


def test_what_is_undecided_says_why() -> None:
    def why(**known: object) -> str:
        return verdict(replace(SHOWN, **known), "rmse", 0.05).why  # type: ignore[arg-type]

    assert why(p_users_holm=None, users_reason="one user") == "no test is possible (one user)"
    assert why(p_seeds=None, seeds_reason="one seed") == "behind over users, but untested over seeds (one seed)"
    assert why(p_seeds=0.3).startswith("behind over users for these trained models, but not over seeds")
    assert why(p_users_holm=0.3, detectable_users=0.25).endswith("are likely to show a difference of 0.2500 or more")


def by_seeds(name: str, values: np.ndarray, *, first_seed: int = 0, deterministic: bool = False) -> Trained:
    """Trainings of values [seeds, users]."""
    tables = {first_seed + n: {"recall@20": of_seed} for n, of_seed in enumerate(values)}
    metrics = {
        seed: {"test": {"recall@20": float(table["recall@20"].mean())}, "deterministic": deterministic}
        for seed, table in tables.items()
    }
    return Trained(name, metrics, np.arange(values.shape[1]), {"recall@20": values.mean(axis=0)}, tables)


def decided(first: Trained, second: Trained) -> tuple[Comparison, Verdict]:
    """One comparison, alone on its page."""
    found = corrected({"pair": compare(first, second, ["recall@20"], FAST)})["pair"]["recall@20"]
    return found, verdict(found, "recall@20", 0.05)


FAST = Inference(bootstrap=100, flips=10)
VALUES = np.random.default_rng(3).integers(0, 5, (3, 40)) / 4


def same_for_all(values: np.ndarray) -> tuple[Comparison, Verdict]:
    return decided(by_seeds("a", values.copy()), by_seeds("b", values))


@pytest.mark.parametrize(
    "values",
    [
        VALUES,
        VALUES[[2, 0, 1]],
        VALUES[:, np.random.default_rng(4).permutation(40)],
        np.append(VALUES, np.full((3, 1), 0.7), axis=1),
        VALUES[:1],
    ],
    ids=["as it is", "other seeds", "other users", "one user more", "one seed"],
)
def test_what_gives_every_user_the_same_with_every_seed_is_identical_and_has_no_test(values: np.ndarray) -> None:
    found, said = same_for_all(values)
    assert (said.word, said.sign, said.shown, found.difference, found.n_differ) == ("identical", 0, False, 0.0, 0)
    tests = ("p_users", "p_users_holm", "p_users_randomisation", "p_seeds", "p_equivalence_users",
             "p_equivalence_users_holm", "p_equivalence_seeds", "family_low", "family_size")  # fmt: skip
    assert [getattr(found, test) for test in tests] == [None] * len(tests)
    assert evidence(found, 0.05).replace("\u00a0", " ") == "difference +0.0000 (+0.0 %)"


def test_a_user_who_differs_with_one_seed_is_enough_for_it_not_to_be_identical() -> None:
    one, evened_out = VALUES.copy(), VALUES.copy()
    one[1, 7] += 0.25
    evened_out[:2, 7] += 0.25, -0.25
    for other in (one, evened_out):
        found, said = decided(by_seeds("a", other), by_seeds("b", VALUES))
        assert (found.n_differ, found.identical) == (1, False)
        assert said.word != "identical"
    drawn = over_draws("a", [by_seeds("a-1", VALUES), by_seeds("a-2", one)])
    assert decided(drawn, by_seeds("b", VALUES))[0].n_differ == 1
    found, said = decided(by_seeds("a", VALUES, first_seed=9), by_seeds("b", VALUES))
    assert (found.n_differ, said.word) == (None, "undecided")  # no seed is shared: the values are means of others


def test_identical_says_of_what_and_of_how_many_trainings() -> None:
    assert same_for_all(VALUES)[1].why == "every user has the same value with both in each of 3 trainings"
    twice = over_draws("a", [by_seeds(f"a-{n}", VALUES.copy()) for n in range(2)])
    assert decided(twice, by_seeds("b", VALUES))[1].why.endswith("in each of 6 trainings")
    assert same_for_all(VALUES[:1])[1].why == "every user has the same value with both, each trained once"
    zero, said = same_for_all(np.zeros((2, 5)))
    assert zero.margin is None
    assert said.sentence == "identical: every user has zero with both in each of 2 trainings"
    fixed = [by_seeds(name, VALUES[:1], deterministic=True) for name in "ab"]
    assert decided(*fixed)[1].why == "every user has the same value with both, and training again repeats it"


def test_identical_rows_on_a_page_change_nothing_of_the_others() -> None:
    rng = np.random.default_rng(5)
    base = by_seeds("base", rng.beta(2, 3, (3, 60)))
    values = np.stack([table["recall@20"] for table in base.by_seed.values()])
    arms = {f"arm-{n}": by_seeds(f"arm-{n}", values + rng.normal(n / 400, 0.01, values.shape)) for n in range(3)}
    copies = {f"same-{n}": by_seeds(f"same-{n}", values.copy()) for n in range(4)}
    alone, among = (
        corrected({name: compare(arm, base, ["recall@20"], FAST) for name, arm in shown.items()})
        for shown in (arms, copies | arms)
    )
    assert {name: among[name] for name in arms} == alone
    assert {among[name]["recall@20"].identical for name in copies} == {True}
    assert all(of["recall@20"].p_equivalence_users_holm is not None for of in alone.values())


@pytest.mark.parametrize(
    ("n_differ", "told"), [(0, ""), (1, "1 of 200 users differs"), (20, "20 of 200 users differ"), (21, ""), (None, "")]
)
def test_how_many_users_differ_is_said_where_they_are_few(n_differ: int | None, told: str) -> None:
    found = replace(SHOWN, n_users=200, n_differ=n_differ)
    assert few_differ(found) == told
    assert (told in evidence(found, 0.05).split(", ")) == bool(told)


def test_each_word_is_defined_with_the_level_and_the_margin_that_were_declared() -> None:
    found = dict(definitions(0.1, 0.005))
    assert tuple(found) == WORDS
    assert "each at 10\u00a0%" in found["better"]
    assert "0.5\u00a0% of the mean" in found["equivalent"]


def test_the_evidence_has_an_effect_and_what_is_detectable_beside_every_p() -> None:
    known = replace(
        SHOWN, relative=0.1, family_low=0.1, family_high=0.3, effect=0.25, detectable_users=0.04, detectable_seeds=0.05
    )
    assert evidence(known, 0.05).replace("\u00a0", " ") == (
        "difference +0.2000 (+10.0 %), 95 % simultaneous interval +0.1000 to +0.3000, d_z +0.25, "
        "over users p = 0.010 (Holm; 0.0400 is detectable), over seeds p = 0.020 (0.0500 is detectable)"
    )


USERS = np.arange(300)
SEEDS = range(5)


def trained(name: str, rng: np.random.Generator, level: np.ndarray, gain: float, seed_spread: float) -> Trained:
    """Five trainings: a user's level, the variant's gain for everybody, what a seed adds, and what is left."""
    by_seed = {
        seed: {"recall@20": level + gain + rng.normal(0, seed_spread) + rng.normal(0, 0.05, len(USERS))}
        for seed in SEEDS
    }
    metrics = {seed: {"test": {"recall@20": float(table["recall@20"].mean())}} for seed, table in by_seed.items()}
    per_user = {"recall@20": np.mean([table["recall@20"] for table in by_seed.values()], axis=0)}
    return Trained(name, metrics, USERS, per_user, by_seed)


def words(gain: float, *, times: int, seed: int, seed_spread: float = 0.0005, arms: int = 1) -> Counter[str]:
    """How often each word is said of arms that all have the same gain, in percent of the mean .3 of the baseline."""
    rng = np.random.default_rng(seed)
    said: Counter[str] = Counter()
    for _ in range(times):
        level = rng.beta(3, 7, len(USERS))
        base = trained("base", rng, level, 0.0, seed_spread)
        found = {
            arm: compare(trained(f"arm-{arm}", rng, level, gain * 0.003, seed_spread), base, ["recall@20"], QUICK)
            for arm in range(arms)
        }
        said.update(verdict(of["recall@20"], "recall@20", 0.05).word for of in corrected(found).values())
    return said


QUICK = Inference(bootstrap=2, flips=1)
"""The interval and the randomisation test decide nothing."""


def test_no_effect_is_equivalent_and_hardly_ever_better_or_worse() -> None:
    said = words(0, times=150, seed=1)
    assert said["equivalent"] > 0.6 * 150
    assert said["better"] + said["worse"] < 0.04 * 150, "two tests that must both be passed are stricter than one"


def test_an_effect_at_the_margin_is_hardly_ever_called_equivalent() -> None:
    """The size of the test of equivalence: at the margin itself it may be wrong in 5 % of studies, and is in fewer."""
    for gain in (2, -2):
        assert words(gain, times=200, seed=2)["equivalent"] <= 0.08 * 200


def test_an_effect_of_twice_the_margin_is_found() -> None:
    said = words(4, times=100, seed=3)
    assert said["better"] > 90
    assert said["worse"] == said["equivalent"] == 0
    said = words(-4, times=100, seed=4)
    assert said["worse"] > 90


def test_where_seeds_spread_more_than_the_margin_nothing_is_equivalent() -> None:
    said = words(0, times=150, seed=5, seed_spread=0.02)
    assert said["undecided"] > 0.85 * 150
    assert said["equivalent"] < 0.08 * 150


def test_a_page_of_four_arms_raises_one_false_equivalence_in_twenty_at_most() -> None:
    rng = np.random.default_rng(6)
    pages = 120
    wrong = sum(bool(words(2, times=1, seed=int(rng.integers(1 << 30)), arms=4)["equivalent"]) for _ in range(pages))
    assert wrong <= 0.1 * pages
