"""Groups of users, and the metrics and tests of every arm in each."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from augrec.artefacts.files import write_json, write_parquet
from augrec.artefacts.run_folder import RunFolder
from augrec.report.measures.downstream import Design, Downstream, Group, Judgement, TriedScale, Tuning, groups_of
from augrec.report.pages.comparison.headline import headline
from augrec.report.pages.comparison.results import ArmFacts, Headline

USERS = np.arange(0, 60, 2)
GAIN = {"gpt": 0.2, "rule": 0.0, "mixed": 0.0, "none": 0.0}


def metrics_json(variant: str, seed: int, test: dict[str, float], *, deterministic: bool = False) -> dict[str, object]:
    """What a training writes."""
    named = {"variant": variant, "seed": seed, "model": "llmrec", "fingerprint": "", "deterministic": deterministic}
    return {**named, "test": test, "valid": {}}


VARIANTS = {(arm, "llmrec"): f"llmrec+{arm}" for arm in GAIN}
RECALL = Design(
    arms=tuple(GAIN),
    recommenders=("llmrec",),
    baseline="none",
    against={"gpt": ("mixed",)},
    metrics=("recall@20",),
    alpha=0.05,
    bootstrap=200,
)
ARMS = [ArmFacts(name, name, "none" if name == "none" else "llm", None, None, {}, None, None) for name in GAIN]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


@pytest.fixture
def found(run: RunFolder) -> Downstream:
    """Two seeds of every arm: a user's recall is its own level, noise, and the arm's gain."""
    return trained(run, RECALL)


def trained(run: RunFolder, design: Design) -> Downstream:
    metric = design.metrics[0]
    rng = np.random.default_rng(0)
    level = rng.uniform(0.2, 0.5, len(USERS))
    seeds = {f"llmrec+{arm}": [1, 2] for arm in GAIN}
    for arm, gain in GAIN.items():
        for seed in (1, 2):
            values = level + gain + rng.normal(0, 0.02, len(USERS))
            folder = run.training(f"llmrec+{arm}", seed)
            order = rng.permutation(len(USERS))
            write_parquet(folder.per_user, pa.table({"user": USERS[order], metric: values[order]}))
            write_json(folder.metrics, metrics_json(f"llmrec+{arm}", seed, {metric: float(values.mean())}))
    tuned = {("gpt", "llmrec"): Tuning(2.0, (TriedScale(0.5, 0.1), TriedScale(2.0, 0.2)))}
    return Downstream(design, run, VARIANTS, seeds, tuned)


def values_of(run: RunFolder, arm: str, users: np.ndarray) -> np.ndarray:
    """[2 seeds, users], read again by other means."""
    rows = []
    for seed in (1, 2):
        table = pa.parquet.read_table(run.training(f"llmrec+{arm}", seed).per_user)
        by_user = dict(zip(table["user"].to_pylist(), table["recall@20"].to_pylist(), strict=True))
        rows.append([by_user[user] for user in users.tolist()])
    return np.array(rows)


def by_arm(judged: tuple[Judgement, ...]) -> dict[str, Judgement]:
    return {judgement.arm: judgement for judgement in judged}


def test_groups_cover_all_and_keep_equals_together() -> None:
    counts = np.array([1, 1, 1, 2, 2, 3, 4, 5, 9, 30])
    test_users = np.arange(10)
    groups = {group.name: group for group in groups_of(test_users, counts, np.array([0, 3, 9, 99]))}
    assert groups["profiled"].users.tolist() == [0, 3, 9]
    thirds = [groups[name].users for name in ("tail", "middle", "head")]
    assert sorted(np.concatenate(thirds).tolist()) == test_users.tolist()
    for first, second in pairwise(thirds):
        assert counts[first].max() < counts[second].min()


def test_users_that_are_all_alike_make_one_third() -> None:
    groups = groups_of(np.arange(5), np.full(5, 7), None)
    assert [group.name for group in groups] == ["all", "tail"]


def test_metrics_and_tests_of_a_group_are_those_of_its_users(run: RunFolder, found: Downstream) -> None:
    some = Group("head", "head", "some", USERS[5:17])
    value = by_arm(found.judgements([some]))["gpt"].groups["head"]["recall@20"]
    mine, base = (values_of(run, arm, some.users) for arm in ("gpt", "none"))
    assert value.mean == pytest.approx(mine.mean())
    assert value.std == pytest.approx(mine.mean(axis=1).std(ddof=1))
    assert value.low is not None
    assert value.high is not None
    assert value.low < mine.mean() < value.high
    versus = value.versus["none"]
    assert versus.difference == pytest.approx((mine - base).mean())
    assert versus.p_users == pytest.approx(stats.ttest_rel(mine.mean(axis=0), base.mean(axis=0)).pvalue)
    assert versus.p_seeds == pytest.approx(stats.ttest_rel(mine.mean(axis=1), base.mean(axis=1)).pvalue)
    assert versus.n_users == 12


def test_users_without_test_items_are_in_no_group(found: Downstream) -> None:
    for variant, trained in found.trained.items():
        values = trained.per_user["recall@20"].copy()
        values[[0, 7]] = np.nan
        found.trained[variant] = replace(trained, per_user={"recall@20": values})
    assert found.test_users.tolist() == np.delete(USERS, [0, 7]).tolist()


def test_each_arm_is_tested_against_the_baseline_and_its_own(found: Downstream) -> None:
    judged = by_arm(found.judgements([Group("all", "", "", USERS)]))
    tested = {arm: list(judgement.groups["all"]["recall@20"].versus) for arm, judgement in judged.items()}
    assert tested == {"gpt": ["none", "mixed"], "rule": ["none"], "mixed": ["none"], "none": []}
    assert judged["gpt"].scale == 2.0
    assert judged["rule"].scale is None


def test_holm_covers_every_pair_of_a_metric(found: Downstream) -> None:
    judged = found.judgements([Group("all", "", "", USERS)])
    pairs = [versus for judgement in judged for versus in judgement.groups["all"]["recall@20"].versus.values()]
    smallest = min(pairs, key=lambda versus: versus.p_users or 0.0)
    assert smallest.p_users is not None
    assert smallest.p_users_holm == pytest.approx(min(1.0, 4 * smallest.p_users))


def told(
    design: Design, judged: tuple[Judgement, ...], groups: list[Group], arms: list[ArmFacts] = ARMS, alpha: float = 0.2
) -> Headline:
    sizes = [group.size() for group in groups]
    return headline(replace(design, alpha=alpha), None, arms, {"llmrec": "llmrec"}, judged, sizes)


def test_the_headline_says_who_is_better_and_where(found: Downstream) -> None:
    groups = [Group("all", "", "", USERS), Group("profiled", "", "", USERS[:9])]
    arms = [replace(arm, users=9) if arm.name == "rule" else arm for arm in ARMS]
    first = told(RECALL, found.judgements(groups), groups, arms)
    assert first.lead.startswith("gpt beside none: better with llmrec (recall@20: llmrec 0.")
    assert "over users p" in first.evidence
    assert any("rule beside none" in detail and "on the 9 test users" in detail for detail in first.details)
    assert any(detail.startswith("The highest mean with llmrec is that of gpt") for detail in first.details)


def test_of_an_error_less_is_better(run: RunFolder) -> None:
    """The same numbers as an error of ratings: what raises them makes things worse."""
    design = replace(RECALL, metrics=("rmse",))
    group = Group("all", "", "", USERS)
    judged = trained(run, design).judgements([group])
    first = told(design, judged, [group])
    assert first.lead.startswith("gpt beside none: worse with llmrec (rmse: llmrec 0.")
    lowest = min(judged, key=lambda judgement: judgement.groups["all"]["rmse"].mean or 0.0).arm
    assert any(detail.startswith(f"The lowest mean with llmrec is that of {lowest}") for detail in first.details)


def test_one_family_holds_all_groups_of_a_metric(run: RunFolder) -> None:
    groups = [Group("all", "", "", USERS), Group("half", "", "", USERS[::2])]
    judged = trained(run, RECALL).judgements(groups)
    versus = [
        other
        for judgement in judged
        for values in judgement.groups.values()
        for other in values["recall@20"].versus.values()
    ]
    known = [(found.p_users, found.p_users_holm) for found in versus if found.p_users is not None]
    smallest, corrected = min(known)  # type: ignore[type-var]
    assert len(known) > len(GAIN)
    assert corrected == pytest.approx(min(1.0, len(known) * (smallest or 0.0)))


def test_a_test_that_is_missing_is_named_and_claims_nothing(found: Downstream) -> None:
    """The same numbers, with the spread over seeds and without: only the former may say "better"."""
    group = Group("all", "", "", USERS)
    judged = found.judgements([group])
    assert ": better with llmrec" in told(RECALL, judged, [group]).lead
    untested = []
    for judgement in judged:
        value = judgement.groups["all"]["recall@20"]
        versus = {other: replace(test, p_seeds=None, p_equivalence_seeds=None) for other, test in value.versus.items()}
        untested.append(replace(judgement, groups={"all": {"recall@20": replace(value, versus=versus)}}))
    found_without = told(RECALL, tuple(untested), [group])
    assert ": undecided with llmrec" in found_without.lead
    assert "Ahead over users, but untested over seeds" in found_without.evidence


def test_one_training_of_what_draws_nothing_is_paired_with_every_seed_of_the_other(run: RunFolder) -> None:
    rng = np.random.default_rng(1)
    level = rng.uniform(0.2, 0.5, len(USERS))
    seeds = {"llmrec+gpt": [1, 2, 3], "llmrec+rule": [1], "llmrec+mixed": [1], "llmrec+none": [1]}
    for variant, numbers in seeds.items():
        for seed in numbers:
            values = level + GAIN[variant.partition("+")[2]] + rng.normal(0, 0.02, len(USERS))
            folder = run.training(variant, seed)
            write_parquet(folder.per_user, pa.table({"user": USERS, "recall@20": values}))
            test = {"recall@20": float(values.mean())}
            write_json(folder.metrics, metrics_json(variant, seed, test, deterministic=len(numbers) == 1))
    downstream = Downstream(RECALL, run, VARIANTS, seeds, {})
    judged = by_arm(downstream.judgements([Group("all", "", "", USERS)]))
    values_by_arm = {arm: judgement.groups["all"]["recall@20"] for arm, judgement in judged.items()}
    gpt = [downstream.trained["llmrec+gpt"].values("recall@20")[seed] for seed in (1, 2, 3)]
    assert values_by_arm["gpt"].versus["none"].p_seeds == pytest.approx(
        stats.ttest_1samp(gpt, values_by_arm["none"].mean).pvalue
    )
    untested = values_by_arm["rule"].versus["none"]
    assert untested.p_seeds is None
    assert "training again repeats the difference" in (untested.seeds_reason or "")
