"""A run whose lists are judged by a rule: rows, weights, resuming, sharing, the page and the audit."""

from __future__ import annotations

import json
import shutil
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import read_json, write_parquet
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.trainings import read_per_user, read_training
from augrec.pipeline.audit import audit_run
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.executors.profile import read_profile
from augrec.pipeline.executors.share import do_share
from augrec.pipeline.executors.slurm.plan import plan
from augrec.pipeline.executors.slurm.status import collect
from augrec.pipeline.reranking.options import WITHOUT_CHOICE
from augrec.pipeline.stages import STAGES, chain
from augrec.pipeline.stages.base import Run
from recsys.batches.base import Split
from recsys.data.dataset import Dataset
from recsys.evaluation.lists import evaluate_lists
from recsys.evaluation.result import Evaluation
from recsys.reranking.aggregation import Judgement, Weights, reranked
from tests.kit.html_pages import PageReader
from tests.kit.toy_config import toy_config, write_config
from tests.kit.toy_data import write_toy_data
from tests.kit.toy_run import advance, built_once, open_run, silent

pytestmark = pytest.mark.slow
SIZE = 5
RERANKED = f"""
generation:
  shards: 2
  sources: {{judge: {{engine: {{kind: heuristic}}, tasks: []}}}}
  tasks: {{ranking: {{permutations: 2}}}}
candidates: {{model: base}}
models: {{base: {{family: lightgcn, dim: 8, layers: 1}}}}
seeds: [1, 2]
variants: {{base: {{model: base}}}}
rerank: {{variants: [base], source: judge, list_size: {SIZE}, controls: [random, popularity, shuffled, uniform, alone]}}
report: {{baseline: base, primary: ndcg@5, secondary: [recall@10]}}
"""
ROWS = ["base+ranking", "base+ranking-shuffled", "base+ranking-uniform", "base+ranking-alone"]
ROWS += ["base+random", "base+popularity"]


def build(root: Path) -> None:
    advance(open_run(root, toy_config(write_toy_data(root / "data"), RERANKED)))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run, over toy.yaml."""
    return built_once("reranked", build, tmp_path_factory.getbasetemp(), shared=False) / "run"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Run:
    """A copy of it."""
    shutil.copytree(finished, tmp_path / "run")
    return Run(read_config(finished.parent / "toy.yaml", [f"output={tmp_path / 'run'}"]))


def text_of(page: Path) -> str:
    return " ".join(" ".join(PageReader(page.read_text(encoding="utf-8")).texts).split())


def truth_of(files: RunFolder, split: str) -> dict[int, set[int]]:
    truth: dict[int, set[int]] = {}
    for row in pq.read_table(files.interactions).to_pylist():
        if row["split"] == split:
            truth.setdefault(row["user"], set()).add(row["item"])
    return truth


def ndcg(items: list[int], truth: set[int]) -> float:
    gain = sum((item in truth) / np.log2(rank + 2) for rank, item in enumerate(items[:SIZE]))
    return float(gain / sum(1 / np.log2(rank + 2) for rank in range(min(len(truth), SIZE))))


def lists_of(path: Path) -> dict[int, list[int]]:
    rows = sorted(pq.read_table(path).to_pylist(), key=lambda row: (row["user"], row["rank"]))
    found: dict[int, list[int]] = {}
    for row in rows:
        found.setdefault(row["user"], []).append(row["item"])
    return found


def test_every_row_is_judged_like_a_training(finished: Path) -> None:
    files = RunFolder(finished)
    for name in ROWS:
        for seed in (1, 2):
            row, base = read_training(files.reranked(name, seed)), read_training(files.training("base", seed))
            assert (row.variant, row.seed, row.model) == (name, seed, "lightgcn")
            assert row.test.keys() == base.test.keys()
            own, others = read_per_user(files.reranked(name, seed)), read_per_user(files.training("base", seed))
            np.testing.assert_array_equal(own.users, others.users)
            for metric, values in own.values.items():
                np.testing.assert_array_equal(np.isnan(values), np.isnan(others.values[metric]))
            # Recall does not see an order, so that lists of which all items are seen have the same one.
            np.testing.assert_array_equal(own.values["recall@10"], others.values["recall@10"])


def test_weights_are_chosen_on_data_without_the_test_split(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, bool]] = []

    def watched(lists: Any, dataset: Dataset, split: Split, **options: Any) -> Evaluation:
        seen.append((split, dataset.is_sealed))
        return evaluate_lists(lists, dataset, split, **options)

    monkeypatch.setattr("augrec.pipeline.reranking.rows.evaluate_lists", watched)
    advance(run, "rerank", force=True)
    chosen = sum(row.control not in WITHOUT_CHOICE for row in run.config.reranked.values())
    assert set(seen) == {("valid", True), ("test", False)}
    assert seen.count(("test", False)) == 2 * 2 * len(ROWS), "of each seed's row: itself, and the lists as they were"
    assert seen.count(("valid", True)) > 2 * chosen * len(run.config.rerank.grid)  # type: ignore[union-attr]


def test_lists_keep_their_items_and_metrics_follow_from_them(finished: Path) -> None:
    files = RunFolder(finished)
    truth = truth_of(files, "test")
    moved = 0
    for name in ROWS:
        before, after = lists_of(files.reranking("base", 1, "test").lists), lists_of(files.reranked(name, 1).lists)
        assert before.keys() == after.keys() == truth.keys()
        found = read_per_user(files.reranked(name, 1))
        for user, items in after.items():
            assert sorted(items[:SIZE]) == sorted(before[user][:SIZE])
            assert items[SIZE:] == before[user][SIZE:]
            moved += items != before[user]
            assert found.values["ndcg@5"][user] == pytest.approx(ndcg(items, truth[user]))
    assert moved > 20


def test_weights_are_of_the_grid_or_given(run: Run) -> None:
    files = run.files
    first = read_json(files.rerank_summary)["rows"]
    chosen = {(row["row"], row["seed"]): (row["b1"], row["b2"]) for row in first}
    grid = run.config.rerank.grid if run.config.rerank else ()
    assert all(b1 is None or (b1 in grid and b2 in grid) for b1, b2 in chosen.values())
    assert {name for (name, _), (b1, _) in chosen.items() if b1 is None} == {
        "base+ranking-uniform",
        "base+ranking-alone",
    }
    own = next(row for row in first if row["row"] == "base+ranking")
    assert own["chosen_by"] == "ndcg@5"
    assert own["alpha"]["least"] >= own["b1"] * own["b2"] - 1e-9
    assert own["alpha"]["most"] <= own["b1"] + 1e-9
    alone = next(row for row in first if row["row"] == "base+ranking-alone")
    assert alone["alpha"] == {"mean": 1.0, "least": 1.0, "most": 1.0}


def test_no_other_weights_of_the_grid_are_better_on_validation(finished: Path) -> None:
    files, grid = RunFolder(finished), (0.1, 0.3, 0.5, 0.7, 0.9)
    there, truth = files.reranking("base", 2, "valid"), truth_of(files, "valid")
    lists, counts = lists_of(there.lists), np.zeros(40, dtype=np.int64)
    for row in pq.read_table(files.interactions).to_pylist():
        counts[row["user"]] += row["split"] == "train"
    places: dict[int, list[list[int]]] = {}
    for record in pq.read_table(there.answers.task("ranking").records).to_pylist():
        order = json.loads(record["fields"])["order"]
        places.setdefault(record["entity"], []).append(
            [order.index(item) + 1 for item in lists[record["entity"]][:SIZE]]
        )
    users = sorted(lists)
    items = np.array([lists[user] for user in users])
    judged = Judgement(np.array([np.mean(places[user], axis=0) for user in users]), places=True)
    values = {}
    for b1, b2 in product(grid, repeat=2):
        blended = reranked(items, judged, Weights(b1, b2).of(counts)[users], "linear")
        values[b1, b2] = np.mean([ndcg(row.tolist(), truth[user]) for user, row in zip(users, blended, strict=True)])
    own = next(
        row for row in read_json(files.rerank_summary)["rows"] if (row["row"], row["seed"]) == ("base+ranking", 2)
    )
    assert values[own["b1"], own["b2"]] == pytest.approx(max(values.values()))
    assert {(b1, b2): value for b1, b2, value in own["grid"]} == pytest.approx(values)
    assert read_training(files.reranked("base+ranking", 2)).valid["ndcg@5"] == pytest.approx(max(values.values()))


def test_answers_are_counted_over_the_orders_they_were_asked_in(finished: Path) -> None:
    own = read_json(RunFolder(finished).rerank_summary)["rows"][0]
    answers = own["answers"]["test"]
    assert own["users"] == own["asked"] == answers["users"] == answers["answered"]
    assert answers["questions"] == 2 * answers["users"]
    assert (answers["failed"], answers["repaired"]) == (0, 0)
    assert 0 <= answers["place_variance"] < (SIZE**2 - 1) / 12, "a rule by genres moves ties alone"
    assert -1 <= answers["like_shown"] <= 1
    assert own["unchanged"]["recall@10"] == pytest.approx(own["among_asked"]["recall@10"])


def test_a_sample_of_users_leaves_the_others_their_lists(run: Run, finished: Path) -> None:
    sampled = Run(read_config(finished.parent / "toy.yaml", [f"output={run.folder}", "rerank.users=7"]))
    advance(sampled, "rerank")
    files = sampled.files
    own = read_json(files.rerank_summary)["rows"][0]
    assert (own["asked"], own["answers"]["test"]["questions"]) == (7, 14)
    records = pq.read_table(files.reranking("base", 1, "test").answers.task("ranking").records).to_pylist()
    asked = {record["entity"] for record in records}
    for name in ROWS:
        before, after = lists_of(files.reranking("base", 1, "test").lists), lists_of(files.reranked(name, 1).lists)
        assert all(after[user] == items for user, items in before.items() if user not in asked)
    advance(sampled, "report")
    assert "7 of 40 users of the test split were asked about" in text_of(files.page)


def test_nothing_is_asked_twice_and_a_changed_training_asks_again(run: Run) -> None:
    said = advance(run)
    assert said.count("skipped, unchanged") == len(chain(run.config))
    shutil.rmtree(run.files.reranking("base", 2, "valid").answers.task("ranking").root)
    run.files.reranking("base", 2, "valid").attempts.unlink()
    before = run.files.rerank_summary.read_bytes()
    run.files.stage_marker("rerank").unlink()
    advance(run, "rerank")
    assert run.files.rerank_summary.read_bytes() == before


def test_lists_may_be_done_one_by_one(run: Run, finished: Path) -> None:
    shutil.rmtree(run.files.rerank)
    stage = STAGES["rerank"]
    names = [piece.name for piece in stage.pieces(run)]
    assert names == [f"base/seed-{seed}/{split}" for seed in (1, 2) for split in ("valid", "test")]
    for name in names[:3]:
        do_share(run, stage, {"only": name}, console=silent())
    assert [piece.done() for piece in stage.pieces(run)] == [True, True, True, False]
    advance(run, "rerank")
    assert read_json(run.files.rerank_summary) == read_json(RunFolder(finished).rerank_summary)


def test_a_cluster_asks_in_arrays_and_finishes_in_a_job(run: Run, tmp_path: Path) -> None:
    shutil.rmtree(run.files.rerank)
    (tmp_path / "profile.toml").write_text("[stages.rerank]\nlists_per_task = 3\nmemory = '2G'")
    levels = plan(run, read_profile(tmp_path / "profile.toml"), 1000)
    assert [[job.name for job in level] for level in levels] == [["rerank-judge"], ["rerank-end"], ["report"]]
    asked = [words for task in levels[0][0].tasks for words in task]
    assert [words[:3] for words in asked] == [
        ["rerank", "--only", "base/seed-1/valid,base/seed-1/test,base/seed-2/valid"],
        ["rerank", "--only", "base/seed-2/test"],
    ]
    rows = {row.group: (row.done, row.missing) for row in collect(run) if row.stage == "rerank" and row.group}
    assert rows == {"judge": (0, "0-3")}


def test_the_page_shows_rows_controls_and_how_answers_are(finished: Path) -> None:
    page = text_of(RunFolder(finished).page)
    for name in ROWS:
        assert name in page
    assert "base+ranking reaches ndcg@5" in page
    assert "base+ranking beside its controls" in page
    assert "rather than how much is moved in a list" in page
    assert "All 40 users of the test split were asked about" in page
    assert "ndcg@5 of all users, the mean over seeds" in page
    assert "b2 = 0.9" in page
    results = read_json(RunFolder(finished).results)
    assert {pair["control"] for pair in results["controls"]} == set(ROWS[1:])


def test_hints_are_the_variants_own_scores_and_a_similar_users_training_items(tmp_path: Path) -> None:
    hinted = """
    base: {model: base, folds: 2}
    generation: {tasks: {ranking: {permutations: 1, similar_user: true, prediction: true, order: retrieved}}}
    seeds: [1]
    """
    run = open_run(tmp_path, toy_config(write_toy_data(tmp_path / "data"), RERANKED, hinted))
    advance(run)
    assert audit_run(run.folder).violations == 0
    files = run.files
    train: dict[int, set[int]] = {}
    for row in pq.read_table(files.interactions).to_pylist():
        if row["split"] == "train":
            train.setdefault(row["user"], set()).add(row["item"])
    nearest = {
        row["user"]: row["neighbour"]
        for row in pq.read_table(files.base.neighbours).to_pylist()
        if (row["fold"], row["rank"]) == (-1, 0)
    }
    path = files.reranking("base", 1, "test").answers.task("ranking").records
    records = pq.read_table(path).to_pylist()
    for record in records:
        assert record["shown_similar"]
        assert set(record["shown_similar"]) <= train[nearest[record["entity"]]]
    stranger = records[0] | {"shown_similar": [*records[0]["shown_similar"][:-1], records[0]["shown_candidates"][0]]}
    schema = pq.read_schema(path)
    write_parquet(path, type(pq.read_table(path)).from_pylist([stranger, *records[1:]], schema=schema))
    wrong = [found for found in audit_run(run.folder).checks if found.violations]
    assert any("not what a similar user has in training" in found.violations[0] for found in wrong)


def test_a_similar_user_needs_a_base(tmp_path: Path) -> None:
    content = toy_config("nowhere", RERANKED, "{generation: {tasks: {ranking: {similar_user: true}}}}")
    with pytest.raises(UsageError, match="nobody says who is similar; add a section `base`"):
        read_config(write_config(tmp_path / "toy.yaml", content))


@pytest.mark.parametrize("damage", ["list", "history", "row"])
def test_the_audit_finds_what_does_not_belong(run: Run, damage: str) -> None:
    assert audit_run(run.folder).violations == 0
    there = run.files.reranking("base", 1, "test")
    if damage == "list":
        path, check = there.lists, "lists hold no training item"
        train = next(row for row in pq.read_table(run.files.interactions).to_pylist() if row["split"] == "train")
        changed = [
            row | {"item": train["item"]} if row["user"] == train["user"] and row["rank"] == 8 else row
            for row in pq.read_table(path).to_pylist()
        ]
    elif damage == "history":
        path, check = there.answers.task("ranking").records, "prompts show training history only"
        changed = pq.read_table(path).to_pylist()
        changed[0]["shown_history"] = [*changed[0]["shown_history"][:-1], changed[0]["shown_candidates"][0]]
    else:
        path, check = run.files.reranked("base+random", 1).lists, "lists keep their items"
        changed = pq.read_table(path).to_pylist()
        changed[0]["rank"], changed[9]["rank"] = changed[9]["rank"], changed[0]["rank"]
    schema = pq.read_schema(path)
    write_parquet(path, type(pq.read_table(path)).from_pylist(changed, schema=schema))
    wrong = [found.name for found in audit_run(run.folder).checks if found.violations]
    assert any(check in name for name in wrong), wrong


@pytest.mark.parametrize(
    ("patch", "complaint"),
    [
        ("{rerank: {variants: [nobody]}}", "rerank.variants: 'nobody' is not defined in `variants`"),
        ("{rerank: {source: nobody}}", "rerank.source: 'nobody' is not defined in `generation.sources`"),
        ("{rerank: {tasks: [edges]}}", "'edges' does not judge a list; choose from ranking"),
        ("{rerank: {tasks: []}}", "name at least one task"),
        ("{rerank: {grid: [0.5, 0.1]}}", "in rising order"),
        ("{rerank: {monitor: rmse}}", "rerank.monitor: rmse is not what models judged by ranked lists have"),
        ("{training: {keep_checkpoint: false}}", "training.keep_checkpoint: the lists of 'base' are made by"),
        ("{rerank: null}", "generation.sources.judge.tasks: it is asked nothing, and does not re-rank"),
        ("{variants: {base+random: {model: base}}}", "variants.base+random: re-ranking makes a row of this name"),
        ("{variants: {base: {source: judge}}}", "variants.base.source: 'judge' is asked nothing"),
        ("{report: {claim: base+rating}}", "report.claim: 'base+rating' is not defined"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_runs(tmp_path: Path, patch: str, complaint: str) -> None:
    path = write_config(tmp_path / "toy.yaml", toy_config("nowhere", RERANKED, patch))
    with pytest.raises(UsageError) as refused:
        read_config(path)
    assert complaint in str(refused.value), json.dumps(str(refused.value))


def test_a_claim_may_be_a_row(tmp_path: Path) -> None:
    content: Any = toy_config("nowhere", RERANKED, "{report: {claim: base+ranking, controls: [base+random]}}")
    assert read_config(write_config(tmp_path / "toy.yaml", content)).report.claim == "base+ranking"
