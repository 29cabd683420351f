"""Groups of users, and the metrics and tests of every arm in each."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from scipy import stats

from augrec.artefacts.files import write_json, write_parquet
from augrec.pipeline.studies.comparison.downstream import Downstream, Group, groups_of
from augrec.pipeline.studies.comparison.headline import headline, verdict
from augrec.pipeline.studies.comparison.plan import Plan, read_compare
from augrec.pipeline.studies.comparison.tune import Tuned
from tests.augrec.pipeline.studies.comparison.test_compare_read import FILE

USERS = np.arange(0, 60, 2)
GAIN = {"gpt": 0.2, "rule": 0.0, "mixed": 0.0, "none": 0.0}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    path = tmp_path / "compare.yaml"
    content = {**FILE, "output": str(tmp_path / "run"), "metrics": ["recall@20"], "bootstrap": 200}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return read_compare(path)


@pytest.fixture
def found(plan: Plan) -> Downstream:
    """Two seeds of every arm: a user's recall is its own level, noise, and the arm's gain."""
    rng = np.random.default_rng(0)
    level = rng.uniform(0.2, 0.5, len(USERS))
    seeds = {f"llmrec+{arm}": [1, 2] for arm in GAIN}
    for arm, gain in GAIN.items():
        for seed in (1, 2):
            values = level + gain + rng.normal(0, 0.02, len(USERS))
            folder = plan.folder / "train" / f"llmrec+{arm}" / f"seed-{seed}"
            order = rng.permutation(len(USERS))
            table = pa.table({"user": USERS[order], "recall@20": values[order]})
            write_parquet(folder / "per_user.parquet", table)
            write_json(folder / "metrics.json", {"model": "llmrec", "test": {"recall@20": float(values.mean())}})
    tuned = {"llmrec+gpt": Tuned("llmrec+gpt", ((0.5, 0.1), (2.0, 0.2)))}
    return Downstream(plan, plan.folder, tuned, seeds)


def values_of(plan: Plan, arm: str, users: np.ndarray) -> np.ndarray:
    """[2 seeds, users], read again by other means."""
    rows = []
    for seed in (1, 2):
        table = pa.parquet.read_table(plan.folder / "train" / f"llmrec+{arm}" / f"seed-{seed}" / "per_user.parquet")
        by_user = dict(zip(table["user"].to_pylist(), table["recall@20"].to_pylist(), strict=True))
        rows.append([by_user[user] for user in users.tolist()])
    return np.array(rows)


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


def test_metrics_and_tests_of_a_group_are_those_of_its_users(plan: Plan, found: Downstream) -> None:
    some = Group("head", "head", "some", USERS[5:17])
    row = next(row for row in found.rows([some]) if row["arm"] == "gpt")
    told = row["groups"]["head"]["recall@20"]
    mine, base = (values_of(plan, arm, some.users) for arm in ("gpt", "none"))
    assert told["mean"] == pytest.approx(mine.mean())
    assert told["std"] == pytest.approx(mine.mean(axis=1).std(ddof=1))
    assert told["low"] < mine.mean() < told["high"]
    versus = told["versus"]["none"]
    assert versus["difference"] == pytest.approx((mine - base).mean())
    assert versus["p_users"] == pytest.approx(stats.ttest_rel(mine.mean(axis=0), base.mean(axis=0)).pvalue)
    assert versus["p_seeds"] == pytest.approx(stats.ttest_rel(mine.mean(axis=1), base.mean(axis=1)).pvalue)
    assert versus["n_users"] == 12


def test_users_without_test_items_are_in_no_group(plan: Plan, found: Downstream) -> None:
    for variant, trained in found.trained.items():
        values = trained.per_user["recall@20"].copy()
        values[[0, 7]] = np.nan
        found.trained[variant] = replace(trained, per_user={"recall@20": values})
    assert found.test_users.tolist() == np.delete(USERS, [0, 7]).tolist()


def test_each_arm_is_tested_against_the_baseline_and_its_own(found: Downstream) -> None:
    rows = {row["arm"]: row for row in found.rows([Group("all", "", "", USERS)])}
    tested = {arm: list(row["groups"]["all"]["recall@20"]["versus"]) for arm, row in rows.items()}
    assert tested == {"gpt": ["none", "mixed"], "rule": ["none"], "mixed": ["none"], "none": []}
    assert rows["gpt"]["scale"] == 2.0
    assert rows["rule"]["scale"] is None


def test_holm_covers_every_pair_of_a_metric(found: Downstream) -> None:
    rows = found.rows([Group("all", "", "", USERS)])
    pairs = [one for row in rows for one in row["groups"]["all"]["recall@20"]["versus"].values()]
    smallest = min(pairs, key=lambda one: one["p_users"])
    assert smallest["p_users_holm"] == pytest.approx(min(1.0, 4 * smallest["p_users"]))


def test_the_headline_says_who_is_better_and_where(plan: Plan, found: Downstream) -> None:
    groups = [Group("all", "", "", USERS), Group("profiled", "", "", USERS[:9])]
    arms = [
        {
            "name": name,
            "title": name,
            "kind": "none" if name == "none" else "llm",
            "users": 9 if name == "rule" else None,
        }
        for name in GAIN
    ]
    sizes = [{"name": group.name, "users": len(group.users)} for group in groups]
    told = headline(plan.compare.model_copy(update={"alpha": 0.2}), arms, found.rows(groups), sizes)
    assert told["lead"].startswith("gpt beside none: significantly better with llmrec (recall@20: llmrec 0.")
    assert "over users p" in told["evidence"]
    assert any("rule beside none" in detail and "on the 9 test users" in detail for detail in told["details"])


def test_a_difference_counts_only_when_users_and_seeds_agree() -> None:
    def told(users: float | None, seeds: float | None, difference: float = 0.1) -> str:
        return verdict({"p_users_holm": users, "p_seeds": seeds, "difference": difference}, 0.05)

    assert told(0.01, 0.01) == "better"
    assert told(0.01, 0.01, -0.1) == "worse"
    assert told(0.01, 0.2) == told(0.2, 0.01) == told(None, 0.01) == told(0.01, None) == "open"


def test_a_test_that_is_missing_is_named_and_claims_nothing(plan: Plan, found: Downstream) -> None:
    """The same numbers, with the spread over seeds and without: only the former may say "better"."""
    group = Group("all", "", "", USERS)
    arms = [{"name": name, "title": name, "kind": "none" if name == "none" else "llm", "users": None} for name in GAIN]
    rows, sizes = found.rows([group]), [{"name": "all", "users": len(USERS)}]
    options = plan.compare.model_copy(update={"alpha": 0.2})
    assert "significantly better" in headline(options, arms, rows, sizes)["lead"]
    for row in rows:
        for versus in row["groups"]["all"]["recall@20"]["versus"].values():
            versus["p_seeds"] = None
    lead = headline(options, arms, rows, sizes)["lead"]
    assert "significantly" not in lead
    assert "above over users, untested over seeds, with llmrec" in lead


def test_one_training_of_what_draws_nothing_is_paired_with_every_seed_of_the_other(plan: Plan) -> None:
    rng = np.random.default_rng(1)
    level = rng.uniform(0.2, 0.5, len(USERS))
    seeds = {"llmrec+gpt": [1, 2, 3], "llmrec+rule": [1], "llmrec+mixed": [1], "llmrec+none": [1]}
    for variant, numbers in seeds.items():
        for seed in numbers:
            values = level + GAIN[variant.partition("+")[2]] + rng.normal(0, 0.02, len(USERS))
            folder = plan.folder / "train" / variant / f"seed-{seed}"
            write_parquet(folder / "per_user.parquet", pa.table({"user": USERS, "recall@20": values}))
            test = {"recall@20": float(values.mean())}
            write_json(folder / "metrics.json", {"test": test, "deterministic": len(numbers) == 1})
    downstream = Downstream(plan, plan.folder, {}, seeds)
    rows = {row["arm"]: row["groups"]["all"]["recall@20"] for row in downstream.rows([Group("all", "", "", USERS)])}
    gpt = [downstream.trained["llmrec+gpt"].values("recall@20")[seed] for seed in (1, 2, 3)]
    assert rows["gpt"]["versus"]["none"]["p_seeds"] == pytest.approx(
        stats.ttest_1samp(gpt, rows["none"]["mean"]).pvalue
    )
    untested = rows["rule"]["versus"]["none"]
    assert untested["p_seeds"] is None
    assert "training again repeats the difference" in untested["seeds_reason"]


def test_the_first_of_equal_scales_is_kept() -> None:
    assert Tuned("v", ((0.5, 0.2), (1.0, 0.2), (2.0, None))).scale == 0.5
    assert Tuned("v", ((0.5, None),)).scale is None
