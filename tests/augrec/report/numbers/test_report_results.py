"""results.json: what is in it, against the files it was made from and direct calls of scipy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.files import read_json, read_parquet, write_json, write_parquet
from augrec.artefacts.run_folder import RunFolder
from augrec.report.numbers.comparison import compare
from augrec.report.numbers.results import results_json, summarise
from augrec.report.numbers.variants import Trained, read_trained
from augrec.report.options import Inference, ReportOptions
from augrec.report.pages.run.page import write_report


def results(run: Path, options: ReportOptions, variants: list[str], seeds: list[int] | None = None) -> dict[str, Any]:
    trained = read_trained(RunFolder(run), options, dict.fromkeys(variants, seeds))
    return results_json(trained, summarise(trained, options), options)


def row(found: dict[str, Any], variant: str, metric: str) -> dict[str, Any]:
    (match,) = [s for s in found["summary"] if s["variant"] == variant and s["metric"] == metric]
    return match


def mean_over_seeds(run: Path, variant: str, metric: str) -> np.ndarray:
    tables = [read_parquet(run / "train" / variant / f"seed-{s}" / "per_user.parquet") for s in range(3)]
    return np.mean([table[metric].to_numpy() for table in tables], axis=0)


def test_rows_are_the_values_of_metrics_json(make_run, options, variants) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    found = results(run, options, variants)
    assert len(found["rows"]) == 5 * 3 * 4
    for entry in found["rows"]:
        metrics = read_json(run / "train" / entry["variant"] / f"seed-{entry['seed']}" / "metrics.json")
        assert entry["value"] == metrics["test"][entry["metric"]]
    assert [r["variant"] for r in found["rows"][:12]] == ["pop"] * 12


def test_summary_against_scipy(make_run, options, variants) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    found = results(run, options, variants)
    llm, base = (mean_over_seeds(run, v, "recall@20") for v in ("lightgcn-llm", "lightgcn-without"))
    seen = np.isfinite(llm)
    summary = row(found, "lightgcn-llm", "recall@20")
    assert summary["n_users"] == seen.sum() == 58
    assert summary["p_users"] == pytest.approx(stats.ttest_rel(llm[seen], base[seen]).pvalue)
    flips = stats.permutation_test((llm[seen] - base[seen],), np.mean, permutation_type="samples", rng=0)
    assert summary["p_users_randomisation"] == pytest.approx(flips.pvalue, abs=0.01)
    by_seed = {
        v: [r["value"] for r in found["rows"] if (r["variant"], r["metric"]) == (v, "recall@20")] for v in variants
    }
    assert summary["mean"] == pytest.approx(np.mean(by_seed["lightgcn-llm"]))
    assert summary["std"] == pytest.approx(np.std(by_seed["lightgcn-llm"], ddof=1))
    expected = stats.ttest_rel(by_seed["lightgcn-llm"], by_seed["lightgcn-without"]).pvalue
    assert summary["p_seeds"] == pytest.approx(expected)
    assert summary["difference"] == pytest.approx((llm - base)[seen].mean())
    assert summary["ci_low"] < summary["difference"] < summary["ci_high"]


def test_holm_covers_the_compared_variants_of_the_primary_metric_only(make_run, options, variants) -> None:  # type: ignore[no-untyped-def]
    found = results(make_run(), options, variants)
    primary = [row(found, v, "recall@20") for v in variants if v != options.baseline]
    smallest = min(primary, key=lambda s: s["p_users"])
    assert smallest["p_users_holm"] == pytest.approx(min(1.0, 4 * smallest["p_users"]))
    assert all(s["p_users_holm"] >= s["p_users"] for s in primary)
    assert all(s["p_users_holm"] is None for s in found["summary"] if s["metric"] != "recall@20")


def test_variants_are_compared_on_the_users_that_both_have() -> None:
    """Other users, in another order, some without a value: pairs are made by user and not by place."""
    rng = np.random.default_rng(0)
    users = np.arange(100), np.arange(30, 160)
    values = [rng.random(len(each)) for each in users]
    values[0][40], values[1][50] = np.nan, np.nan  # users 40 and 80
    first, second = (
        Trained(name, {1: {"test": {"recall@20": float(np.nanmean(one))}}}, each, {"recall@20": one})
        for name, each, one in zip("ab", users, values, strict=True)
    )
    pairs = [(values[0][user], values[1][user - 30]) for user in range(30, 100) if user not in (40, 80)]
    found = compare(first, second, ["recall@20"], Inference(bootstrap=200))["recall@20"]
    assert found.n_users == len(pairs) == 68
    assert found.p_users == pytest.approx(stats.ttest_rel(*zip(*pairs, strict=True)).pvalue)
    difference = np.mean([a - b for a, b in pairs])
    assert found.ci_low < difference < found.ci_high


def test_holm_in_a_report_does_not_count_variants_without_a_test(make_run, options, variants) -> None:  # type: ignore[no-untyped-def]
    """A variant that equals the baseline has no test, and makes no other one stricter."""
    run = make_run()
    shutil.rmtree(run / "train" / "pop")
    shutil.copytree(run / "train" / "lightgcn-without", run / "train" / "pop")
    found = results(run, options, variants)
    primary = [row(found, v, "recall@20") for v in variants if v != options.baseline]
    tested = [one for one in primary if one["p_users"] is not None]
    assert len(tested) == 3
    smallest = min(tested, key=lambda s: s["p_users"])
    assert smallest["p_users_holm"] == pytest.approx(min(1.0, 3 * smallest["p_users"]))


def test_the_baseline_is_compared_with_nothing(make_run, options, variants) -> None:  # type: ignore[no-untyped-def]
    summary = row(results(make_run(), options, variants), "lightgcn-without", "recall@20")
    assert [summary[key] for key in ("difference", "p_users", "p_users_holm", "p_seeds", "ci_low")] == [None] * 5


def test_models_without_randomness_have_no_p_value_over_seeds(make_run, options, variants) -> None:  # type: ignore[no-untyped-def]
    chosen = options.model_copy(update={"baseline": "pop"})
    summary = row(results(make_run(), chosen, variants), "ease", "recall@20")
    assert summary["p_seeds"] is None
    assert "same for all seeds" in summary["seeds_reason"]
    assert summary["p_users"] is not None
    assert summary["std"] == 0


def test_coverage_has_no_users_to_test(make_run, options, variants) -> None:  # type: ignore[no-untyped-def]
    summary = row(results(make_run(), options, variants), "ease", "coverage@20")
    assert summary["p_users"] is None
    assert "no value per user" in summary["users_reason"]
    assert summary["p_seeds"] is not None


def test_one_seed_has_no_spread(make_run, options, variants) -> None:  # type: ignore[no-untyped-def]
    summary = row(results(make_run(seeds=1), options, variants), "lightgcn-llm", "recall@20")
    assert (summary["std"], summary["p_seeds"], summary["n_seeds"]) == (None, None, 1)
    assert summary["p_users"] is not None


def test_an_interval_does_not_depend_on_the_other_variants(make_run, options, variants) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    few = results(run, options, ["lightgcn-llm", "lightgcn-without"])
    many = results(run, options, variants)
    one, same = (row(found, "lightgcn-llm", "ndcg@20") for found in (few, many))
    ends = ("ci_low", "ci_high")  # a product of more columns may round otherwise
    assert [one.pop(end) for end in ends] == pytest.approx([same.pop(end) for end in ends], rel=1e-12)
    assert one == same


def test_missing_values_are_null_and_nothing_is_lost(make_run, options, variants) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    path = run / "train" / "ease" / "seed-1" / "metrics.json"
    metrics = read_json(path)
    metrics["test"]["coverage@20"] = None
    write_json(path, metrics)
    found = results(run, options, variants)
    json.dumps(found, allow_nan=False)
    assert {"variant": "ease", "seed": 1, "metric": "coverage@20", "value": None} in found["rows"]
    assert row(found, "ease", "coverage@20")["n_seeds"] == 2


def test_seeds_of_an_earlier_config_are_not_read(make_run, options, variants) -> None:  # type: ignore[no-untyped-def]
    found = results(make_run(), options, variants, seeds=[2, 0])
    assert {entry["seed"] for entry in found["rows"]} == {0, 2}


@pytest.mark.parametrize("name", ["per_user.parquet", "metrics.json"])
def test_a_missing_file_is_named(make_run, options, config, variants, name: str) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    (run / "train" / "ease" / "seed-1" / name).unlink()
    with pytest.raises(DataError) as caught:
        write_report(RunFolder(run), options, config, variants=variants)
    assert f"train/ease/seed-1/{name}" in str(caught.value)
    assert f"seed-1/{name}" in str(caught.value)
    assert not (run / "report").exists()


def test_a_variant_that_was_never_trained_is_named(make_run, options, variants) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match="'llmrec' has no trained seeds"):
        read_trained(RunFolder(make_run()), options, dict.fromkeys([*variants, "llmrec"]))


def test_a_metric_that_was_not_evaluated_is_named_with_the_choices(make_run, options, variants) -> None:  # type: ignore[no-untyped-def]
    chosen = options.model_copy(update={"secondary": ("ndcg@7",)})
    with pytest.raises(DataError, match=r"ndcg@7[\s\S]*choose from: recall@20, ndcg@20"):
        read_trained(RunFolder(make_run()), chosen, dict.fromkeys(variants))


def test_users_that_differ_between_seeds_are_refused(make_run, options, variants) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    path = run / "train" / "ease" / "seed-2" / "per_user.parquet"
    write_parquet(path, read_parquet(path).slice(1))
    with pytest.raises(DataError, match="differ from the variant's other seeds"):
        read_trained(RunFolder(run), options, dict.fromkeys(variants))


@pytest.mark.parametrize("change", [{"baseline": "bert"}, {"claim": "bert"}, {"controls": ("bert",)}])
def test_options_that_name_no_variant_are_refused(tmp_path, options, variants, change) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match="'bert', which is not a variant"):
        read_trained(RunFolder(tmp_path), options.model_copy(update=change), dict.fromkeys(variants))
