"""A whole comparison over the small world, without a language model: what it writes, keeps and finds."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import read_json, read_parquet
from augrec.artefacts.run_folder import RunFolder
from augrec.cli import app
from augrec.pipeline.audit import audit_run
from augrec.pipeline.folders.standing import standing
from augrec.pipeline.studies.comparison.plan import ComparisonPlan, read_compare
from augrec.pipeline.studies.comparison.run import run_compare
from augrec.pipeline.studies.comparison.text_measures import TextMeasures
from augrec.pipeline.studies.comparison.tuning import tune
from augrec.pipeline.studies.execution import Execution
from augrec.pipeline.studies.search.trials import Step
from augrec.report.numbers.verdicts import WORDS
from tests.kit.toy_comparison import smallest_comparison
from tests.kit.toy_config import EMBEDDING, toy_config, write_config
from tests.kit.toy_data import write_toy_data
from tests.kit.toy_run import in_this_process, silent

pytestmark = pytest.mark.slow

ARMS: dict[str, Any] = {
    "rule": {"source": "rule", "change": {"item_attributes": "none"}, "against": ["shuffled"]},
    "terms": {"source": "terms"},
    "hidden": {"source": "hidden"},
    "shuffled": {
        "source": "rule",
        "change": {"item_attributes": "none", "user_profile": "shuffled", "edges": "random"},
    },
    "none": {},
}


BASE = """
name: null
dataset: {k_core: null}
generation:
  shards: 2
  sources:
    rule: {engine: {kind: heuristic}, tasks: [edges, user_profile]}
    terms: {engine: {kind: heuristic, rule: tfidf}, tasks: [user_profile]}
    hidden: {engine: {kind: heuristic}, tasks: [user_profile], users: 15, titles: anonymous}
models:
  llmrec: {family: llmrec, dim: 8}
  ease: {family: ease_text, alpha: 0, l2: 5}
training: {monitor: null}
seeds: null
workers: 2
variants: null
report: null
"""


def written(root: Path, data: Path) -> Path:
    """The comparison's file."""
    content = {
        "name": "toy-compare",
        "output": str(root / "run"),
        "base": toy_config(data, EMBEDDING, BASE),
        "arms": ARMS,
        "recommenders": {
            "llmrec": {"model": "llmrec", "scale": "profile_scale", "scales": [0.1, 2.0]},
            "ease": {"model": "ease", "scale": "profile", "scales": [0.5, 5], "seeds": [1]},
        },
        "memorisation": [{"named": "rule", "anonymous": "hidden"}],
        "baseline": "none",
        "claim": "rule",
        "metrics": ["recall@10", "ndcg@5"],
        "seeds": [1, 2],
        "bootstrap": 100,
    }
    return write_config(root / "compare.yaml", content)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory, embedder: str) -> ComparisonPlan:
    root = tmp_path_factory.mktemp("comparison")
    plan = read_compare(written(root, write_toy_data(root / "data")))
    with in_this_process():
        run_compare(plan, Execution(silent()))
    return plan


@pytest.fixture(scope="module")
def found(plan: ComparisonPlan) -> dict[str, Any]:
    return dict(read_json(plan.folder / "compare.json"))


def test_every_arm_is_judged_by_every_recommender_in_every_group(found: dict[str, Any]) -> None:
    assert {(row["arm"], row["recommender"]) for row in found["downstream"]} == {
        (arm, one) for arm in ARMS for one in ("llmrec", "ease")
    }
    names = [group["name"] for group in found["groups"]]
    assert names[:2] == ["all", "profiled"]
    for row in found["downstream"]:
        assert list(row["groups"]) == names
        one_is_enough = row["recommender"] == "ease" and row["arm"] != "shuffled"  # a closed form, given nothing drawn
        assert row["seeds"] == ([1] if one_is_enough else [1, 2])
        assert row["groups"]["all"]["recall@10"]["mean"] is not None


def test_it_is_done_in_all_its_stages_and_open_without_its_results(plan: ComparisonPlan) -> None:
    done = standing(plan.folder)
    assert (done.kind, done.state) == ("comparison", "done")
    assert [row.state for row in done.stages if row.stage == "compare"] == ["done"]
    results = plan.folder / "compare.json"
    kept = results.rename(plan.folder / "kept.json")
    assert standing(plan.folder).state == "open"
    kept.rename(results)


def test_means_are_those_of_the_trainings(plan: ComparisonPlan, found: dict[str, Any]) -> None:
    for row in found["downstream"]:
        folder = plan.folder / "train" / f"{row['recommender']}+{row['arm']}"
        told = [read_json(folder / f"seed-{seed}" / "metrics.json")["test"]["recall@10"] for seed in row["seeds"]]
        assert row["groups"]["all"]["recall@10"]["mean"] == pytest.approx(np.mean(told))


def test_every_arm_with_profiles_had_the_same_trials_and_kept_the_best(
    plan: ComparisonPlan, found: dict[str, Any]
) -> None:
    for row in found["downstream"]:
        tried = [trial["scale"] for trial in row["tuned"]]
        if row["arm"] == "none":
            assert (tried, row["scale"]) == ([], None)
            continue
        assert tried == ([0.1, 2.0] if row["recommender"] == "llmrec" else [0.5, 5])
        best = max(row["tuned"], key=lambda trial: trial["valid"])
        assert row["scale"] == best["scale"]
        name = f"{row['recommender']}+{row['arm']}"
        option = plan.compare.recommenders[row["recommender"]].scale
        resolved = yaml.safe_load((plan.folder / "config.yaml").read_text())
        assert resolved["models"][name][option] == best["scale"]


def test_trials_never_saw_the_test_split(plan: ComparisonPlan) -> None:
    trials = sorted(plan.folder.glob("search/*/trial-*/seed-*/metrics.json"))
    assert len(trials) == 16
    assert not any(read_json(path).get("test") for path in trials)


def test_tuning_chooses_the_same_where_reading_a_test_interaction_raises(
    plan: ComparisonPlan, forbid: Callable[[], None], tmp_path: Path
) -> None:
    chosen = {path.parent.name: read_json(path) for path in plan.folder.glob("search/*/best.json")}
    search, kept = plan.folder / "search", tmp_path / "search"
    shutil.move(search, kept)
    forbid()
    try:
        tuned, ran = tune(plan, 1)
    finally:
        shutil.rmtree(search, ignore_errors=True)
        shutil.move(kept, search)  # the same seconds for the tests that follow
    assert ran == 16
    assert {name: tuning.scale for name, tuning in tuned.items()} == {
        name: next(iter(best["options"].values())) for name, best in chosen.items()
    }


def test_the_text_measures_cover_every_source(found: dict[str, Any]) -> None:
    assert {(one["source"], one["task"]) for one in found["intrinsic"]} == {
        ("rule", "edges"),
        ("rule", "user_profile"),
        ("terms", "user_profile"),
        ("hidden", "user_profile"),
    }
    assert {(one["a"], one["b"]) for one in found["agreement"]} == {
        ("rule", "terms"),
        ("rule", "hidden"),
        ("terms", "hidden"),
    }
    by_source = {one["source"]: one for one in found["consistency"]}
    assert by_source["rule"]["liked_in_history"] == 1.0  # the rule names genres of the history
    assert {one["source"] for one in found["leak"]} == {"rule", "terms", "hidden"}
    assert [one["source"] for one in found["position"]] == ["rule"]
    probe = found["memorisation"][0]
    assert (probe["named"], probe["anonymous"], probe["exact"]) == ("rule", "hidden", 1.0)  # a rule knows no titles


def test_what_was_spent_on_users_is_shared_out_among_them(plan: ComparisonPlan) -> None:
    texts = TextMeasures(plan.compare, plan.cell.config, RunFolder(plan.folder))
    nobody, odd = np.zeros(texts.n_users, dtype=bool), np.arange(texts.n_users) % 2 == 1
    assert (texts.share("rule", nobody), texts.share("rule", ~nobody)) == (0.0, 1.0)
    assert 0.3 < texts.share("rule", odd) < 0.7
    assert texts.share("rule", odd) + texts.share("rule", ~odd) == pytest.approx(1.0)
    asked = texts.records["hidden", "user_profile"].entities
    assert texts.share("hidden", odd) == pytest.approx(odd[asked].mean()), "nobody counted tokens"


def test_partly_asked_sources_define_the_profiled_users(found: dict[str, Any]) -> None:
    assert found["data"]["profiled_users"] == 15
    arms = {arm["name"]: arm for arm in found["arms"]}
    assert (arms["hidden"]["users"], arms["rule"]["users"]) == (15, None)
    assert {arm["name"]: arm["kind"] for arm in found["arms"]} == {
        "rule": "rule",
        "terms": "rule",
        "hidden": "rule",
        "shuffled": "control",
        "none": "none",
    }


def test_examples_show_the_same_users_in_every_arm(plan: ComparisonPlan, found: dict[str, Any]) -> None:
    assert len(found["examples"]) == 4
    train = read_parquet(plan.folder / "dataset" / "interactions.parquet")
    sources = read_parquet(plan.folder / "dataset" / "users.parquet")["source_id"].to_pylist()
    for example in found["examples"]:
        assert [text["arm"] for text in example["texts"]] == ["rule", "terms", "hidden"]
        user = sources.index(example["user"])
        mine = [
            item
            for owner, item, split in zip(*(train[name].to_pylist() for name in ("user", "item", "split")), strict=True)
            if owner == user and split == "train"
        ]
        assert 0 < len(example["history"]) <= len(mine)


def test_the_run_passes_its_audit_and_the_pages_are_there(plan: ComparisonPlan) -> None:
    assert not audit_run(plan.folder).violations
    page = (plan.folder / "index.html").read_text()
    assert "<table" in page
    assert (plan.folder / "compare.md").read_text().startswith("#")


def test_a_second_call_trains_nothing_and_changes_no_number(plan: ComparisonPlan, found: dict[str, Any]) -> None:
    told = io.StringIO()
    run_compare(plan, Execution(Console(file=told, width=200)))
    assert told.getvalue().count("skipped, unchanged") == 6
    assert "search     done in" in told.getvalue()
    assert "unchanged, 8 variants" in told.getvalue()
    again = read_json(plan.folder / "compare.json")
    for volatile in ("created", "seconds", "provenance"):
        again.pop(volatile)
    assert json.dumps(again) == json.dumps({name: value for name, value in found.items() if name in again})


def test_trials_that_fail_are_all_named_and_the_others_kept(
    plan: ComparisonPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(plan.folder, folder)
    changed = read_compare(plan.path, [f"output={folder}", "recommenders.ease.scales=[0.5,7]"])

    def failing(work: object, steps: Iterable[Step], workers: int, done: Callable[..., Iterable[Step]]) -> None:
        for step in steps:
            assert list(done(step, None, "the loss is not finite")) == []

    monkeypatch.setattr("augrec.pipeline.studies.search.trials.run_tasks", failing)
    with pytest.raises(AugrecError, match="4 of 16 trials failed") as error:
        run_compare(changed, Execution(silent()))
    assert "  - ease+rule, profile 7: the loss is not finite" in str(error.value)
    assert len(list(folder.glob("search/ease+*/trial-001/failed.json"))) == 4


def test_tf_idf_stands_in_where_no_item_text_is_embedded(plan: ComparisonPlan, tmp_path: Path) -> None:
    copy = shutil.copytree(plan.folder, tmp_path / "copy")
    shutil.rmtree(copy / "embed" / "data")
    checks = TextMeasures(plan.compare, plan.cell.config, RunFolder(copy)).leak()
    assert {check.items_by for check in checks} == {"tf-idf"}
    means = [split.mean for check in checks for split in (check.train, check.valid, check.test)]
    assert all(mean is not None and 0 <= mean <= 1 for mean in means)


def test_profiles_and_items_whose_vectors_count_words_of_their_own_are_held_together_by_the_words_of_both(
    tmp_path: Path, toy_data: Path
) -> None:
    plan = read_compare(write_config(tmp_path / "compare.yaml", smallest_comparison(toy_data, tmp_path / "run")))
    with in_this_process():
        run_compare(plan, Execution(silent()))
    widths = {np.load(plan.folder / "embed" / f"{name}.npy").shape[1] for name in ("rule/user_profile", "data/text")}
    assert len(widths) == 2
    (found,) = read_json(plan.folder / "compare.json")["leak"]
    assert (found["source"], found["items_by"]) == ("rule", "tf-idf")


@pytest.mark.parametrize(
    ("overrides", "lead"),
    [
        ([], "rule beside none: "),
        (["claim=null"], "No arm of a language model was compared with the baseline."),
    ],
    ids=["a verdict", "nothing to say one of"],
)
def test_the_command_ends_with_what_was_found_and_the_page(
    tmp_path: Path, toy_data: Path, overrides: list[str], lead: str
) -> None:
    config = write_config(tmp_path / "compare.yaml", smallest_comparison(toy_data, tmp_path / "run"))
    with in_this_process():
        done = CliRunner().invoke(app, ["compare", str(config), *overrides])
    assert done.exit_code == 0, done.output
    results = read_json(tmp_path / "run" / "compare.json")
    said = results["headline"]["lead"]
    assert said.startswith(lead)
    assert any(f": {word}" in said for word in WORDS) == (not overrides), "without a claim no verdict is printed"
    assert done.stdout.endswith(f"\n{said}\nComparison: {tmp_path / 'run' / 'index.html'}\n")
