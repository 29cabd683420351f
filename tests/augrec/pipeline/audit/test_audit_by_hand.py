"""Every check of the audit on a run written by hand: all that it says of a sound one, and of each damage exactly."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
import yaml
from rich.console import Console

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import digest, read_json, read_parquet, sha256_file, write_json, write_npy, write_parquet
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.tasks import Edges, TaskCard
from augrec.pipeline.audit import Audit, Check, audit_run, render
from augrec.pipeline.audit.edges import named_items, pairs_of, wrong_scores
from augrec.pipeline.audit.interactions import audit_interaction_vectors, read_split
from augrec.pipeline.probes.text_alignment import probe_texts
from augrec.report.pages.alignment import read_alignments
from augrec.report.pages.edges import read_edge_worths
from embed.records import text_digest, texts_of_items
from tests.augrec.pipeline.audit import hand_made_run
from tests.augrec.pipeline.audit.hand_made_base import write_base
from tests.augrec.pipeline.audit.hand_made_run import (
    CARDS,
    N_ITEMS,
    N_USERS,
    REPLAYED,
    SOURCE,
    TRAIN,
    elsewhere,
    record,
    seal_copied_vectors,
    seal_dataset,
    seal_source_matrices,
    seal_summary,
    seal_training,
    vectors,
    write_answers,
    write_matrix,
    write_run,
)
from tests.kit.planted_pickle import planted_pickle

Rows = list[dict[str, Any]]
EDGES, PROFILES, ITEMS = f"{SOURCE} edges", f"{SOURCE} user_profile", f"{SOURCE} item_attributes"
REQUESTS, HISTORY, PAIRS = (
    "one record per request",
    "prompts show training history only",
    "pairs come from the candidates",
)
KNOWN = "prompts, where known, showed training history only"
AS_WRITTEN = "files are as their stages wrote them"


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(write_run(tmp_path / "run"))


def violations(run: RunFolder) -> dict[str, list[str]]:
    """What is derived again: every change by hand breaks a hash, too."""
    checks = [check for check in audit_run(run.root).checks if check.name != AS_WRITTEN]
    return {check.name: list(check.violations) for check in checks if check.violations}


def edit(path: Path, change: Callable[[Rows], object]) -> None:
    table = read_parquet(path)
    rows = table.to_pylist()
    change(rows)
    write_parquet(path, pa.Table.from_pylist(rows, schema=table.schema))


def edit_answers(run: RunFolder, task: str, change: Callable[[Rows], object], source: str = SOURCE) -> None:
    """Changes records and all that is sealed over them, so that nothing but what they say is wrong."""
    edit(run.source(source).task(task).records, change)
    seal_summary(run)
    if source == SOURCE:
        seal_source_matrices(run)
    else:
        seal_copied_vectors(run)
    seal_training(run)


def edit_interactions(run: RunFolder, change: Callable[[Rows], object]) -> None:
    edit(run.interactions, change)
    seal_dataset(run)


def test_all_that_is_said_of_a_sound_run(run: RunFolder) -> None:
    audit = audit_run(run.root)
    assert {check.name: check.rows for check in audit.checks} == {
        AS_WRITTEN: 11,
        "ids are contiguous": 13,
        "interactions name known users and items": 18,
        "splits are disjoint and free of duplicates": 18,
        "counts as recorded": 5,
        "split hash as recorded": 18,
        "graph edges are exactly the training interactions": 11,
        "candidates are known items": 12,
        "candidates hold no training interaction": 12,
        "candidates are distinct per user": 12,
        f"{EDGES}: {REQUESTS}": 4,
        f"{EDGES}: {HISTORY}": 4,
        f"{EDGES}: {PAIRS}": 4,
        f"{ITEMS}: {REQUESTS}": 8,
        f"{PROFILES}: {REQUESTS}": 4,
        f"{PROFILES}: {HISTORY}": 4,
        f"{REPLAYED} edges: {REQUESTS}": 4,
        f"{REPLAYED} edges: {KNOWN}": 1,
        f"{REPLAYED} edges: pairs name known items": 8,
        f"{REPLAYED} user_profile: {REQUESTS}": 4,
        f"{REPLAYED} user_profile: {KNOWN}": 1,
        "embedding data/text": 8,
        "embedding data/title": 8,
        "embedding features/image": 8,
        f"embedding {SOURCE}/director": 8,
        f"embedding {SOURCE}/user_profile": 5,
        f"embedding {REPLAYED}/user_profile": 5,
        "trainings read what was checked": 8,
    }
    assert audit.violations == 0
    names = ("edges", "positives_in_valid", "positives_in_test", "negatives_in_valid", "negatives_in_test")
    assert audit.leaks == {
        SOURCE: dict(zip(names, (3, 1, 1, 1, 1), strict=True)),
        REPLAYED: dict(zip(names, (4, 0, 0, 0, 1), strict=True)),
    }
    assert audit.unwritten is None
    assert read_json(run.audit_json) == json.loads(json.dumps(audit.as_json()))


def test_only_stages_that_finished_are_audited(run: RunFolder) -> None:
    beginnings = {"train": "trainings", "embed": "embedding", "augment": (SOURCE, REPLAYED), "candidates": "candidates"}
    for stage, beginning in beginnings.items():
        run.stage_marker(stage).unlink()
        names = [check.name for check in audit_run(run.root).checks]
        assert not any(name.startswith(beginning) for name in names)
    assert len(names) == 6
    run.stage_marker("dataset").unlink()
    with pytest.raises(DataError, match="no prepared run"):
        audit_run(run.root)


def test_what_base_tuning_and_re_ranking_left_is_audited_once_they_have_finished(run: RunFolder) -> None:
    write_base(run)
    run.stage_marker("base").unlink()
    run.tune.root.mkdir()
    run.tune.instructions.write_text("")
    write_json(run.rerank_summary, {"list_size": 3, "rows": []})
    stages = ("base", "tune", "re-ranking")

    def looked_at() -> list[str]:
        names = [check.name.partition(":")[0].partition(" ")[0] for check in audit_run(run.root).checks]
        return sorted({name for name in names if name in stages})

    assert looked_at() == []
    for stage, name in (("base", "base"), ("tune", "tune"), ("rerank", "re-ranking")):
        write_json(run.stage_marker(stage), {})
        assert name in looked_at()
    assert violations(run) == {}


def test_a_run_of_another_layout_is_refused(run: RunFolder) -> None:
    write_json(run.layout, {"layout": 1})
    with pytest.raises(DataError, match="has layout 1"):
        audit_run(run.root)


# --- data set, graph and candidates


def test_interactions_in_two_splits_and_in_one_twice_are_named_once(run: RunFolder) -> None:
    def change(rows: Rows) -> None:
        rows += [{**rows[0], "split": "test"}, {**rows[11], "timestamp": 7}, {**rows[11], "timestamp": 8}]

    edit_interactions(run, change)
    found = violations(run)
    (graph,) = found.pop("graph edges are exactly the training interactions")
    assert graph.startswith("no graph can be built: the same user and item occur twice")
    assert found == {"splits are disjoint and free of duplicates": ["train: user 0, item 5", "valid: user 0, item 2"]}


@pytest.mark.parametrize(
    ("place", "change", "named"),
    [
        (0, {"item": 8}, "train: user 0, item 8"),
        (0, {"item": -1}, "train: user 0, item -1"),
        (12, {"user": 5}, "valid: user 5, item 3"),
        (17, {"user": -1}, "test: user -1, item 0"),
    ],
)
def test_interactions_of_strangers_are_named(run: RunFolder, place: int, change: dict, named: str) -> None:
    edit_interactions(run, lambda rows: rows[place].update(change))
    found = violations(run)
    assert found["interactions name known users and items"] == [named]
    assert "no graph can be built" in found["graph edges are exactly the training interactions"][0]


def test_ids_that_are_not_their_row_are_named(run: RunFolder) -> None:
    edit(run.items, lambda rows: rows[3].update(item=4))
    edit(run.users, lambda rows: rows[0].update(user=1))
    assert violations(run)["ids are contiguous"] == [
        "user.parquet row 0: id 1, expected 0",
        "item.parquet row 3: id 4, expected 3",
    ]


def test_counts_and_the_hash_of_the_split_are_compared_with_what_was_recorded(run: RunFolder) -> None:
    meta = read_json(run.dataset_json)
    write_json(run.dataset_json, meta | {"counts": meta["counts"] | {"users": 6, "test": 3}})
    assert violations(run) == {
        "counts as recorded": ["users: 6 in dataset.json, 5 in the files", "test: 3 in dataset.json, 4 in the files"]
    }
    write_json(run.dataset_json, meta)
    edit(run.interactions, lambda rows: (rows[11].update(split="test"), rows[14].update(split="valid")))
    assert violations(run) == {"split hash as recorded": [f"dataset.json says {meta['split_sha256']}"]}


def test_places_are_held_against_times(run: RunFolder) -> None:
    rows = read_parquet(run.interactions).to_pylist()
    own = [at for at, row in enumerate(rows) if row["user"] == rows[0]["user"]]
    clock, places = np.arange(len(rows)), np.arange(len(rows))

    def said() -> list[str]:
        columns = {"timestamp": pa.array(clock), "place": pa.array(places, pa.int32())}
        table = pa.Table.from_pylist(rows)
        write_parquet(run.interactions, pa.table({name: table[name] for name in table.column_names} | columns))
        return next(
            list(check.violations) for check in audit_run(run.root).checks if check.name == "places follow times"
        )

    assert said() == []
    clock[own[:2]] = 0  # equal times are in any order
    places[own[:2]] = places[own[:2]][::-1]
    assert said() == []
    clock[own[0]] = clock[own[2]] + 1
    assert len(said()) == 1
    assert f"item {rows[own[2]]['item']} stands at place 2 after item {rows[own[0]]['item']} at 1" in said()[0]
    clock[:], places[own[:2]] = 0, 0
    assert len(said()) == 1
    places[:], clock[own[-1]] = np.arange(len(rows)), -1
    assert [text.partition(" stands")[0] for text in said()] == [f"user 0: item {rows[own[-1]]['item']}"]


def test_times_that_are_not_there_for_all_order_nothing(run: RunFolder) -> None:
    edit(run.interactions, lambda rows: rows[10].update(timestamp=None))
    assert read_split(run.dataset).train_history == {
        user: sorted(items) for user, items in hand_made_run.HISTORY.items()
    }


@pytest.mark.parametrize(
    ("train", "said"),
    [
        (TRAIN, []),
        (TRAIN[1:], ["training pair user 0, item 5 is no edge"]),
        ([*TRAIN, (4, 7, 0)], ["edge user 4, item 7 is not in train"]),
        ([*TRAIN[:-1], (4, 0, 0)], ["edge user 4, item 0 is not in train", "training pair user 3, item 1 is no edge"]),
    ],
)
def test_vectors_of_interactions_are_made_of_those_of_training(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, train: list[tuple[int, int, int]], said: list[str]
) -> None:
    def made(_: object) -> sp.csr_matrix:
        users, items, _times = zip(*train, strict=True)
        return sp.csr_matrix((np.ones(len(train)), (users, items)), (N_USERS, N_ITEMS))

    monkeypatch.setattr("augrec.pipeline.side.interaction_vectors.normalised_interactions", made)
    split, name = read_split(run.dataset), "vectors of interactions are made of exactly those of training"
    assert audit_interaction_vectors(run.root, split) == []
    variants = {"plain": {"change": None}, "bare": {"change": {"user_profile": "interactions"}}, "none": {}}
    run.config.write_text(yaml.safe_dump({"variants": variants}))
    assert audit_interaction_vectors(run.root, split) == [Check(name, len(train), tuple(said))]
    run.interactions.unlink()
    assert audit_interaction_vectors(run.root, split) == []


def test_the_split_hash_does_not_depend_on_the_order_of_rows(run: RunFolder) -> None:
    edit(run.interactions, lambda rows: rows.reverse())
    assert violations(run) == {}


@pytest.mark.parametrize(
    ("place", "change", "check", "named"),
    [
        (9, {"item": 8}, "candidates are known items", "row 9: user 3, item 8"),
        (0, {"item": -1}, "candidates are known items", "row 0: user 0, item -1"),
        (4, {"user": 5}, "candidates are known items", "row 4: user 5, item 1"),
        (4, {"user": -1}, "candidates are known items", "row 4: user -1, item 1"),
        (2, {"item": 3}, "candidates hold no training interaction", "row 2: user 0, item 3"),
        (1, {"item": 2}, "candidates are distinct per user", "row 0: user 0, item 2"),
    ],
)
def test_wrong_candidates_are_named(run: RunFolder, place: int, change: dict, check: str, named: str) -> None:
    edit(run.candidates, lambda rows: rows[place].update(change))
    found = {name: said for name, said in violations(run).items() if name.startswith("candidates")}
    assert found == {check: [named]}


# --- records


@pytest.mark.parametrize("key", ["requests", "ok", "failed"])
def test_the_summary_counts_what_the_records_hold(run: RunFolder, key: str) -> None:
    summary = read_json(run.summary)
    counted = summary["sources"][SOURCE]["tasks"]["edges"]
    there = counted[key]
    counted[key] += 1
    write_json(run.summary, summary)
    expected = [f"summary.json counts {there + 1} {key}, the records hold {there}"]
    assert violations(run) == {f"{EDGES}: {REQUESTS}": expected}


def test_lost_and_repeated_and_strange_records_are_named(run: RunFolder) -> None:
    edit_answers(run, "edges", lambda rows: rows.pop(1))
    assert violations(run) == {f"{EDGES}: {REQUESTS}": ["entity 1 has no record"]}
    key = read_parquet(run.source(SOURCE).task("edges").records)["key"][0].as_py()
    edit_answers(run, "edges", lambda rows: rows.append(rows[0] | {"entity": 1}))
    assert violations(run)[f"{EDGES}: {REQUESTS}"] == [f"key {key} has several records"]
    edit_answers(run, "edges", lambda rows: rows[-1].update(key="other", entity=0))
    assert violations(run) == {f"{EDGES}: {REQUESTS}": ["entity 0 has several records", "entity 1 has no record"]}
    edit_answers(run, "edges", lambda rows: rows[-1].update(question="b"))
    assert violations(run) == {f"{EDGES}: {REQUESTS}": ["entity 1 has no record"]}


def test_an_item_and_a_user_who_do_not_exist_are_named(run: RunFolder) -> None:
    records = run.source(SOURCE).task("item_attributes").records
    edit(records, lambda rows: rows.extend(record("item_attributes", item, {"director": "x"}) for item in (8, -1)))
    seal_summary(run)
    assert violations(run)[f"{ITEMS}: {REQUESTS}"] == ["entity -1 does not exist", "entity 8 does not exist"]
    records = run.source(SOURCE).task("user_profile").records
    edit(records, lambda rows: rows.append(record("user_profile", 5, None)))
    seal_summary(run)
    assert violations(run)[f"{PROFILES}: {REQUESTS}"] == ["entity 5 does not exist"]


def test_of_items_everyone_is_asked_and_of_users_those_with_a_history(run: RunFolder) -> None:
    edit_answers(run, "item_attributes", lambda rows: rows.pop(7))
    assert violations(run) == {f"{ITEMS}: {REQUESTS}": ["entity 7 has no record"]}


@pytest.mark.parametrize("name", ["reason", "fallback"])
def test_a_failure_says_why_and_what_is_done_instead(run: RunFolder, name: str) -> None:
    edit_answers(run, "edges", lambda rows: rows[3].update({name: None}))
    assert violations(run) == {f"{EDGES}: {REQUESTS}": ["entity 3 failed without a reason or fallback"]}


@pytest.mark.parametrize(
    ("drawn", "kept", "said"),
    [
        (2, [0, 1], []),
        (3, [0, 1], ["3 users were drawn, 2 have a record"]),
        (3, [0, 1, 4], ["user 4 was drawn and has no history"]),
        (1, [0, 1, 4], ["user 4 was drawn and has no history", "1 users were drawn, 3 have a record"]),
    ],
)
def test_of_users_who_were_drawn_so_many_have_a_record(
    run: RunFolder, drawn: int, kept: list[int], said: list[str]
) -> None:
    for task in ("edges", "user_profile"):
        rows = {row["entity"]: row for row in read_parquet(run.source(SOURCE).task(task).records).to_pylist()}
        rows[4] = record(task, 4, None)
        write_answers(run, SOURCE, CARDS[task], [rows[user] for user in kept])
    seal_summary(run)
    seal_source_matrices(run)
    seal_training(run)
    summary = read_json(run.summary)
    summary["sources"][SOURCE]["users"] = drawn
    write_json(run.summary, summary)
    assert violations(run) == ({f"{task}: {REQUESTS}": said for task in (EDGES, PROFILES)} if said else {})


def key_of(run: RunFolder, task: str, place: int) -> str:
    return read_parquet(run.source(SOURCE).task(task).records)["key"][place].as_py()[:12]


@pytest.mark.parametrize(
    ("place", "change", "said"),
    [
        (0, {"shown_history": [1, 3, 4]}, ["user 0: item 4 is not in train (key {key})"]),
        (0, {"shown_history": [1, 6, 3]}, ["user 0: not the latest training items in order (key {key})"]),
        (0, {"shown_history": [5, 3, 6]}, ["user 0: not the latest training items in order (key {key})"]),
        (2, {"shown_history": [5, 4, 0]}, ["user 2: not the latest training items in order (key {key})"]),
        (0, {"shown_history": [3, 6]}, ["user 0: 2 items of the history were shown, not 3"]),
        (
            1,
            {"shown_history": [7, 2], "dropped_history": 2},  # four were asked for
            ["user 0: 3 items of the history were shown, not 4", "user 1: 2 items of the history were shown, not 1"],
        ),
        (1, {"shown_history": []}, ["user 1: 0 items of the history were shown, not 3"]),
        (3, {"shown_history": [0]}, ["user 3: item 0 is not in train (key {key})"]),
        (3, {"shown_history": []}, []),  # it failed: nobody knows what it was shown in the end
    ],
)
def test_the_history_shown_is_the_latest_of_training(
    run: RunFolder, place: int, change: dict[str, Any], said: list[str]
) -> None:
    edit_answers(run, "edges", lambda rows: rows[place].update(change))
    expected = [text.format(key=key_of(run, "edges", place)) for text in said]
    assert violations(run) == ({f"{EDGES}: {HISTORY}": expected} if said else {})


def test_without_times_the_history_is_in_order_of_items(run: RunFolder) -> None:
    table = read_parquet(run.interactions)
    write_parquet(run.interactions, table.drop_columns("timestamp"))
    seal_dataset(run)
    assert sorted(violations(run)) == [f"{EDGES}: {HISTORY}", f"{PROFILES}: {HISTORY}"]
    by_item = {0: [3, 5, 6], 1: [0, 2, 7], 2: [0, 4, 5], 3: [1]}

    def change(rows: Rows) -> None:
        for row in rows:
            row.update(shown_history=by_item[row["entity"]], dropped_history=0)

    for task in ("edges", "user_profile"):
        edit_answers(run, task, change)
    assert violations(run) == {}
    write_parquet(run.interactions, table.set_column(2, "timestamp", pa.nulls(table.num_rows, pa.int64())))
    assert violations(run) == {}


@pytest.mark.parametrize(
    ("place", "change", "said"),
    [
        (0, {"shown_candidates": [2, 4, 7, 0]}, ["user 0: item 0 was shown but is not in candidates.parquet"]),
        (
            0,
            {"shown_candidates": [2, 4, 7, 3]},
            [
                "user 0: item 3 was shown but is not in candidates.parquet",
                "user 0: item 3 was shown as a candidate but is in train",
            ],
        ),
        (3, {"shown_candidates": [6]}, ["user 3: item 6 was shown but is not in candidates.parquet"]),
        (0, {"shown_candidates": [2, 4]}, ["user 0: negative 7 was not among the candidates shown"]),
        (0, {"shown_candidates": [4, 7]}, ["user 0: positive 2 was not among the candidates shown"]),
        (3, {"shown_candidates": []}, []),
    ],
)
def test_pairs_come_from_candidates_that_were_shown(
    run: RunFolder, place: int, change: dict[str, Any], said: list[str]
) -> None:
    edit_answers(run, "edges", lambda rows: rows[place].update(change))
    assert violations(run) == ({f"{EDGES}: {PAIRS}": said} if said else {})


def test_without_candidate_lists_nothing_that_was_shown_is_listed(run: RunFolder) -> None:
    run.candidates.unlink()
    run.stage_marker("candidates").unlink()
    found = violations(run)
    assert list(found) == [f"{EDGES}: {PAIRS}"]
    assert len(found[f"{EDGES}: {PAIRS}"]) == 12


def test_pairs_of_unseen_items_need_no_list_and_stay_out_of_training(run: RunFolder) -> None:
    card = TaskCard(name="edges", about="user", gives=Edges(among="unseen"))
    rows = read_parquet(run.source(SOURCE).task("edges").records).to_pylist()
    rows[1]["shown_candidates"] = [5, 1, 4]
    write_answers(run, SOURCE, card, rows)
    seal_summary(run)
    seal_training(run)
    assert violations(run) == {}
    rows[1]["shown_candidates"] = [5, 1, 2]
    write_answers(run, SOURCE, card, rows)
    assert violations(run) == {
        f"{EDGES}: pairs come from what was shown, and is not in train": [
            "user 1: item 2 was shown as a candidate but is in train"
        ]
    }


def test_answers_that_a_task_quotes_are_there(run: RunFolder) -> None:
    card = CARDS["user_profile"].model_copy(update={"reads": ("item_attributes", "item_profile")})
    write_answers(run, SOURCE, card, read_parquet(run.source(SOURCE).task("user_profile").records).to_pylist())
    check = f"{PROFILES}: the answers it quotes are there"
    assert violations(run) == {check: ["item_profile is not there"]}
    assert {found.name: found.rows for found in audit_run(run.root).checks}[check] == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda card: {**card, "name": "other"},
        lambda card: {**card, "about": "nobody"},
        lambda card: {**card, "gives": "edges"},
        lambda card: {name: value for name, value in card.items() if name != "reads"},
    ],
)
def test_a_card_that_describes_no_such_task_is_an_error(run: RunFolder, change: Callable[[dict], dict]) -> None:
    card = run.source(SOURCE).task("edges").card
    write_json(card, change(read_json(card)))
    with pytest.raises(DataError, match=r"(?s)no description of the task.*edges.task\.json"):
        audit_run(run.root)


# --- scores, and what is held out


SCORES = [[4, 0.5], [2, 0.3], [7, 0.2]]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, []),
        ({"scores": SCORES}, []),
        ({"scores": SCORES[:2], "negative": 2}, ["not every candidate shown has one score", "scores add up to 0.8000"]),
        ({"scores": [*SCORES, [4, 0.0]]}, ["not every candidate shown has one score"]),
        ({"scores": [[4, 0.5], [2, 0.3], [6, 0.2]]}, ["not every candidate shown has one score"]),
        ({"scores": SCORES, "positive": 2}, ["the pair is not that of the highest and the lowest score"]),
        ({"scores": SCORES, "negative": 2}, ["the pair is not that of the highest and the lowest score"]),
        ({"scores": [[4, 0.3], [2, 0.5], [7, 0.2]]}, ["scores are not probabilities in falling order"]),
        ({"scores": [[4, 1.2], [2, 0.0], [7, -0.2]]}, ["scores are not probabilities in falling order"]),
        ({"scores": [[4, 1.5], [2, 0.0], [7, 0.0]]}, ["scores are not probabilities in falling order"]),
        ({"scores": [[4, 1.0], [2, 0.0], [7, 0.0]]}, []),
        ({"scores": [[4, 0.5], [2, 0.3], [7, 0.1]]}, ["scores add up to 0.9000"]),
        ({"scores": [[4, 0.5], [2, 0.3], [7, 0.3]]}, ["scores add up to 1.1000"]),
        ({"scores": [[4, 0.5], [2, 0.3], [7, 0.20009]]}, []),
        ({"scores": [[4, 0.5], [2, 0.3], [7, 0.20011]]}, ["scores add up to 1.0001"]),
        ({"scores": [[4, 0.5], [2, 0.3], [7, 0.19989]]}, ["scores add up to 0.9999"]),
    ],
)
def test_scores_are_probabilities_of_what_was_shown(run: RunFolder, fields: dict[str, Any], said: list[str]) -> None:
    whole = {"positive": 4, "negative": 7} | fields
    assert wrong_scores(whole, {2, 4, 7}) == said
    edit_answers(run, "edges", lambda rows: rows[0].update(fields=json.dumps(whole)))
    problems = [f"user 0: {problem}" for problem in said]
    named = [f"user 0: scored {item} was not among the candidates shown" for item, _ in fields.get("scores", [])
             if item == 6]  # fmt: skip
    assert violations(run).get(f"{EDGES}: {PAIRS}", []) == named + problems


def test_what_an_edge_record_names_and_trains_on() -> None:
    plain, scored = {"positive": 4, "negative": 7}, {"positive": 4, "negative": 7, "scores": SCORES}
    assert named_items(plain) == [("positive", 4), ("negative", 7)]
    assert named_items(scored) == [*named_items(plain), ("scored", 4), ("scored", 2), ("scored", 7)]
    assert pairs_of(plain, 2) == [(4, 7)]
    assert [pairs_of(scored, n) for n in (1, 2, 3)] == [[(4, 7)], [(4, 7), (2, 7)], [(4, 7), (2, 7)]]


@pytest.mark.parametrize(
    ("variants", "positives"),
    [
        (None, 1),
        ({}, 1),
        ({"a": {"source": SOURCE}}, 1),
        ({"a": {"source": SOURCE, "edge_positives": None}}, 1),
        ({"a": {"source": SOURCE, "edge_positives": 1}, "b": {"source": SOURCE, "edge_positives": 2}}, 2),
        ({"a": {"source": REPLAYED, "edge_positives": 2}}, 1),
        ({"a": {"source": SOURCE, "edge_positives": 2, "edges": "none", "change": {"edges": "none"}}}, 1),
        ({"a": {"source": SOURCE, "edge_positives": 2, "change": {"user_profile": "none"}}}, 2),
        ({"a": {"source": SOURCE, "edge_positives": 2, "edges": "shuffled", "change": {"edges": "shuffled"}}}, 2),
    ],
)
def test_as_many_positives_count_as_a_variant_trains_on(run: RunFolder, variants: object, positives: int) -> None:
    scored = {"positive": 2, "negative": 7, "scores": [[2, 0.5], [4, 0.3], [7, 0.2]]}  # 2 is in valid, 4 in test
    edit_answers(run, "edges", lambda rows: rows[0].update(fields=json.dumps(scored)))
    run.config.write_text(yaml.safe_dump({"variants": variants}))
    found = audit_run(run.root).leaks[SOURCE]
    assert (found["edges"], found["positives_in_valid"]) == (2 + positives, 1)
    assert found["positives_in_test"] == positives  # user 2's is one, user 0's second the other
    assert (found["negatives_in_valid"], found["negatives_in_test"]) == (1, 1)


@pytest.mark.parametrize("content", [None, "", "[1]"])
def test_without_a_config_one_positive_counts(run: RunFolder, content: str | None) -> None:
    scored = {"positive": 2, "negative": 7, "scores": [[2, 0.5], [4, 0.3], [7, 0.2]]}
    edit_answers(run, "edges", lambda rows: rows[0].update(fields=json.dumps(scored)))
    run.config.unlink() if content is None else run.config.write_text(content)
    assert audit_run(run.root).leaks[SOURCE]["edges"] == 3


def test_a_source_without_edges_has_no_pairs(run: RunFolder) -> None:
    summary = read_json(run.summary)
    del summary["sources"][SOURCE]["tasks"]["edges"]
    write_json(run.summary, summary)
    assert set(audit_run(run.root).leaks[SOURCE].values()) == {0}


# --- records from elsewhere


def test_known_prompts_of_published_records_held_training_items_only(run: RunFolder) -> None:
    edit_answers(run, "edges", lambda rows: rows[0].update(shown_history=[6, 4, 2]), REPLAYED)
    edit_answers(run, "user_profile", lambda rows: rows[1].update(shown_history=[3]), REPLAYED)
    found = violations(run)
    assert [said.split(" (")[0] for said in found[f"{REPLAYED} edges: {KNOWN}"]] == ["user 0: item 2 is not in train"]
    assert list(found) == [f"{REPLAYED} edges: {KNOWN}", f"{REPLAYED} user_profile: {KNOWN}"]
    edit_answers(run, "edges", lambda rows: rows[0].update(status="failed", reason="x", fallback="masked"), REPLAYED)
    assert list(violations(run)) == [f"{REPLAYED} user_profile: {KNOWN}"]


@pytest.mark.parametrize(("item", "known"), [(0, True), (N_ITEMS - 1, True), (N_ITEMS, False), (-1, False)])
def test_published_pairs_name_items_that_exist(run: RunFolder, item: int, known: bool) -> None:
    edit_answers(
        run, "edges", lambda rows: rows[2].update(fields=json.dumps({"positive": item, "negative": 7})), REPLAYED
    )
    said = {} if known else {f"{REPLAYED} edges: pairs name known items": [f"user 2: positive {item} is no item"]}
    assert violations(run) == said


# --- matrices


def test_a_matrix_that_is_gone_is_named(run: RunFolder) -> None:
    run.matrix("data", "title").with_suffix(".npy").unlink()
    assert violations(run)["embedding data/title"] == ["was written and is gone"]
    assert {check.name: check.rows for check in audit_run(run.root).checks}["embedding data/title"] == 0


def test_without_a_list_of_what_was_written_all_matrices_that_are_there_count(run: RunFolder) -> None:
    write_matrix(run.matrix("features", "sound"), vectors(N_ITEMS), {})
    names = {check.name for check in audit_run(run.root).checks}
    assert "embedding features/sound" not in names
    write_json(run.stage_marker("embed"), {})
    assert {check.name for check in audit_run(run.root).checks} == (
        names - {"trainings read what was checked"} | {"embedding features/sound"}
    )


@pytest.mark.parametrize(
    ("group", "field", "change", "said"),
    [
        ("data", "text", lambda m: m[:-1], ["is float32 (7, 3), expected float32 with 8 rows"]),
        ("data", "text", lambda m: m[:, 0], ["is float32 (8,), expected float32 with 8 rows"]),
        ("data", "text", lambda m: m.astype(np.float64), ["is float64 (8, 3), expected float32 with 8 rows"]),
        (SOURCE, "user_profile", lambda m: np.vstack([m, m[:1]]), ["is float32 (6, 3), expected float32 with 5 rows"]),
        ("features", "image", lambda m: np.where(np.arange(8)[:, None] == 2, np.nan, m), ["row 2 is not finite"]),
        ("features", "image", lambda m: np.where(np.arange(8)[:, None] == 2, np.inf, m), ["row 2 is not finite"]),
        ("data", "title", lambda m: m * (np.arange(8) != 3)[:, None], ["row 3 is zero but not listed as missing"]),
        ("features", "image", lambda m: m + 1, ["row 6 is listed as missing but not zero"]),
        ("features", "image", lambda m: np.where([[False, False, True]] * 8, 0, m), []),  # no row is zero but for 6
        (
            "features",
            "image",
            lambda m: np.vstack([m[:1], m[:1] * 0, *[m[2:3]] * 4, m[6:8], m[:1] * 0, *[m[:1]] * 3]),
            [
                "is float32 (12, 3), expected float32 with 8 rows",
                "row 1 is zero but not listed as missing",
                "row 8 is zero but not listed as missing",
            ],
        ),
    ],
)
def test_a_matrix_has_a_row_each_and_zeros_where_something_is_missing(
    run: RunFolder, group: str, field: str, change: Callable[[np.ndarray], np.ndarray], said: list[str]
) -> None:
    path = run.matrix(group, field).with_suffix(".npy")
    before = np.load(path)
    changed = change(before)
    write_npy(path, changed.astype(np.float32) if changed.dtype != np.float64 or group == "features" else changed)
    assert violations(run) == ({f"embedding {group}/{field}": said} if said else {})


@pytest.mark.parametrize("kind", ["pickle", "torn", "archive"])
@pytest.mark.parametrize("copied_from", [False, True])
def test_a_matrix_that_cannot_be_read_is_an_error_and_its_pickle_is_not_run(
    run: RunFolder, kind: str, copied_from: bool
) -> None:
    path = elsewhere(run)[0] if copied_from else run.matrix("data", "title").with_suffix(".npy")
    archive, mark = io.BytesIO(), run.root / "ran"
    np.savez(archive, vectors(2))
    content = {"pickle": planted_pickle(mark), "torn": path.read_bytes()[:-4], "archive": archive.getvalue()}
    path.write_bytes(content[kind])
    about = run.matrix(REPLAYED, "user_profile").with_suffix(".json")
    write_json(about, read_json(about) | {"source_sha256": sha256_file(elsewhere(run)[0])})
    with pytest.raises(DataError, match="the matrix") as error:
        audit_run(run.root)
    assert (error.value.where, bool(error.value.remedy)) == (str(path), True)
    assert not mark.exists()


def test_rows_that_are_missing_and_are_not_are_named_in_order_and_so_are_matrices(run: RunFolder) -> None:
    about = run.matrix("features", "image").with_suffix(".json")
    write_json(about, read_json(about) | {"missing": [9, 8, 6, 1]})
    assert violations(run) == {
        "embedding features/image": [f"row {row} is listed as missing but not zero" for row in (1, 8, 9)]
    }
    names = [check.name for check in audit_run(run.root).checks]
    marker = read_json(run.stage_marker("embed"))
    write_json(run.stage_marker("embed"), {"outputs": dict(reversed(marker["outputs"].items()))})
    assert [check.name for check in audit_run(run.root).checks] == names


def test_a_matrix_is_made_from_the_text_that_is_there(run: RunFolder) -> None:
    edit(run.items, lambda rows: rows[1].update(title="Another film"))
    where = "dataset/items.parquet"
    said = [f"was made from another version of {where}", f"was not made from the text in {where}"]
    assert violations(run) == {"embedding data/text": said, "embedding data/title": said}
    edit(run.items, lambda rows: rows[1].update(title="Film 1", genres=["War"]))
    assert violations(run) == {"embedding data/text": said, "embedding data/title": said[:1]}


def test_the_columns_that_the_config_names_make_the_items_text(run: RunFolder) -> None:
    about = {
        "source_sha256": sha256_file(run.items),
        "text_sha256": text_digest(texts_of_items(run.items, ["title"])["text"]),
    }
    write_matrix(run.matrix("data", "text"), vectors(N_ITEMS), about)
    said = ["was not made from the text in dataset/items.parquet"]
    assert violations(run) == {"embedding data/text": said}
    config = run.root / "config.yaml"
    told = yaml.safe_load(config.read_text()) if config.exists() else {}
    config.write_text(yaml.safe_dump({**told, "embedding": {"columns": ["title"]}}))
    assert "embedding data/text" not in violations(run)


def test_a_field_that_the_text_does_not_have_is_named(run: RunFolder) -> None:
    table = read_parquet(run.items)
    write_parquet(run.items, table.drop_columns("title"))
    assert violations(run)["embedding data/title"][-1] == "dataset/items.parquet holds no such field"


def test_text_that_cannot_be_derived_again_is_named(run: RunFolder) -> None:
    edit(run.items, lambda rows: rows[1].update(item=9))
    (said,) = [text for text in violations(run)["embedding data/title"] if "cannot be derived" in text]
    assert said.startswith("its text cannot be derived again: item ids are not contiguous")


@pytest.mark.parametrize("task", ["other", None, 3])
def test_a_matrix_of_a_task_that_was_not_asked_is_named(run: RunFolder, task: object) -> None:
    path = run.matrix(SOURCE, "director").with_suffix(".json")
    write_json(path, read_json(path) | {"task": task})
    name = f"embedding {SOURCE}/director"
    assert violations(run) == {name: [f"is of the task {task!r}, which the source was not asked"]}
    assert {check.name: check.rows for check in audit_run(run.root).checks}[name] == 0


def copied(run: RunFolder, **about: object) -> list[str]:
    """What is said of the copied vectors, described otherwise."""
    path = run.matrix(REPLAYED, "user_profile").with_suffix(".json")
    write_json(path, read_json(path) | about)
    found = violations(run)
    assert set(found) <= {f"embedding {REPLAYED}/user_profile"}
    return found.get(f"embedding {REPLAYED}/user_profile", [])


def test_copied_vectors_are_those_of_the_same_source_id(run: RunFolder) -> None:
    source, dataset = elsewhere(run)
    where = run.matrix(REPLAYED, "user_profile").with_suffix(".npy")
    matrix = np.load(where)
    matrix[1] = matrix[2]
    write_npy(where, matrix)
    assert copied(run) == [f"row 1 is not the vector of user 'u1' in {source}"]
    seal_copied_vectors(run)
    edit(dataset / "users.parquet", lambda rows: rows[2].update(source_id="x"))
    assert copied(run) == [f"row 2 is not the vector of user 'u2' in {source}"]
    (dataset / "users.parquet").unlink()
    dataset.rmdir()
    assert copied(run) == []  # nobody can say any more
    assert copied(run, replayed={"dataset": None}) == [
        f"row {row} is not the vector of user 'u{row}' in {source}" for row in (0, 1, 3)
    ]


def test_rows_of_the_other_data_set_may_stand_in_any_order(run: RunFolder) -> None:
    edit(elsewhere(run)[1] / "users.parquet", lambda rows: rows.reverse())
    assert copied(run) == []


def test_copied_vectors_need_their_records_and_their_source_as_they_were(run: RunFolder) -> None:
    source, _ = elsewhere(run)
    records = f"augment/{REPLAYED}/user_profile/records.parquet"
    assert copied(run, source_sha256="other") == [f"was copied from another version of {source}"]
    assert copied(run, records_sha256="other") == [f"was copied for another version of {records}"]
    seal_copied_vectors(run)
    source.unlink()
    assert copied(run) == []


def test_only_records_that_take_part_have_a_copied_vector(run: RunFolder) -> None:
    edit_answers(
        run,
        "user_profile",
        lambda rows: rows[3].update(status="failed", reason="x", fallback="masked", fields=None),
        REPLAYED,
    )
    assert copied(run) == ["row 3 has a vector, and no record that takes part"]


# --- what trainings read


def test_a_file_that_was_read_and_not_checked_is_named(run: RunFolder) -> None:
    marker = read_json(run.stage_marker("train"))
    marker["details"]["read"] += ["embed/other/x.npy", f"augment/{SOURCE}/old/records.parquet"]
    write_json(run.stage_marker("train"), marker)
    said = "was read, and no check covers it: the run's config does not name it"
    assert violations(run) == {
        "trainings read what was checked": [f"embed/other/x.npy {said}", f"augment/{SOURCE}/old/records.parquet {said}"]
    }


@pytest.mark.parametrize(
    "change",
    [
        {"details": {}},
        {"details": None},
        {"details": {"read": "all"}},
        {"identity": {}},
        {"identity": None},
        {"identity": {"inputs": {}}},
    ],
)
def test_what_older_trainings_do_not_say_is_not_judged(run: RunFolder, change: dict[str, Any]) -> None:
    marker = read_json(run.stage_marker("train"))
    marker["details"]["read"] = ["embed/other/x.npy"]
    write_json(run.stage_marker("train"), marker | change)
    assert "trainings read what was checked" not in {check.name for check in audit_run(run.root).checks}


@pytest.mark.parametrize("stage", ["augment", "embed"])
def test_trainings_of_what_lay_here_before_are_not_judged(run: RunFolder, stage: str) -> None:
    marker = read_json(run.stage_marker("train"))
    marker["details"]["read"] = ["embed/other/x.npy"]
    marker["identity"]["inputs"][stage] = digest({"another": "content"})
    write_json(run.stage_marker("train"), marker)
    assert "trainings read what was checked" not in {check.name for check in audit_run(run.root).checks}


def test_a_training_without_answers_may_have_read_the_data_sets_own_matrices(run: RunFolder) -> None:
    run.stage_marker("augment").unlink()
    run.summary.unlink()
    marker = read_json(run.stage_marker("train"))
    marker["identity"]["inputs"].pop("augment")
    marker["details"]["read"] = ["embed/data/title.npy", f"augment/{SOURCE}/edges/records.parquet"]
    write_json(run.stage_marker("train"), marker)
    (said,) = violations(run)["trainings read what was checked"]
    assert said.startswith(f"augment/{SOURCE}/edges/records.parquet was read")


# --- what is shown


def shown(audit: Audit) -> list[str]:
    out = io.StringIO()
    render(audit, Console(file=out, width=200))
    return out.getvalue().splitlines()


def test_ten_offending_rows_are_shown_and_the_rest_counted() -> None:
    sides = [f"{side}_in_{split}" for side in ("positives", "negatives") for split in ("valid", "test")]
    leaks = {"llm": dict(zip(("edges", *sides), (1000, 1, 2, 3, 4), strict=True))}
    ten, more = (tuple(f"row {n}" for n in range(count)) for count in (10, 12))
    audit = Audit((Check("sound", 12345), Check("ten", 10, ten), Check("more", 12, more)), leaks)
    lines = shown(audit)
    assert audit.violations == 22
    assert ["check", "rows", "result"] in [line.split() for line in lines]
    (sound,), (wrong,) = ([line for line in lines if part in line] for part in ("12,345", "12 wrong"))
    assert wrong.split() == ["more", "12", "12", "wrong"]
    assert "ok" in sound
    assert "ok" not in wrong
    assert sum(line.startswith("  ten: row ") for line in lines) == 10
    assert sum(line.startswith("  more: row ") for line in lines) == 10
    assert "  more: and 2 more" in lines
    assert not any("  ten: and" in line for line in lines)
    where = "1 positives and 3 negatives fall in valid, 2 and 4 in test"
    assert lines[-1].startswith(f"llm: of 1000 augmented edges, {where} (")
    assert not any("could not be written" in line for line in lines)


def test_what_is_shown_of_a_run_is_shown_as_it_is_written() -> None:
    out = io.StringIO()
    rows = tuple(f"[red]row[/red] {n} of 7" for n in range(11))
    sides = [f"{side}_in_{split}" for side in ("positives", "negatives") for split in ("valid", "test")]
    leaks = {"[i]llm[/i]": dict.fromkeys(("edges", *sides), 5)}
    audit = Audit((Check("[b]name[/b]", 11, rows),), leaks, "[u]x[/u] could not be written: 28")
    render(audit, Console(file=out, width=200, force_terminal=True, color_system="standard"))
    table, _, rest = out.getvalue().partition("  [b]name[/b]: ")
    assert "\x1b" in table
    assert "[b]name[/b]" in table
    assert "\x1b" not in rest
    lines = ("  [b]name[/b]: " + rest).splitlines()
    assert lines[:10] == [f"  [b]name[/b]: {row}" for row in rows[:10]]
    assert lines[10:12] == ["  [b]name[/b]: and 1 more", "[u]x[/u] could not be written: 28"]
    assert lines[12].startswith("[i]llm[/i]: of 5 augmented edges, 5 positives")


def test_an_audit_that_cannot_be_written_is_shown_all_the_same(run: RunFolder) -> None:
    run.audit_json.mkdir()
    audit = audit_run(run.root)
    assert audit.violations == 0
    assert audit.unwritten is not None
    assert audit.unwritten.startswith(f"{run.audit_json} could not be written: ")
    assert any("could not be written" in line for line in shown(audit))


def test_whether_texts_belong_to_their_ids_is_asked_of_training_alone(run: RunFolder) -> None:
    audit = audit_run(run.root)
    assert [found.of for found in audit.alignment] == [
        "the data's own text", f"{SOURCE} item_attributes", f"{SOURCE} user_profile", f"{REPLAYED} user_profile",
    ]  # fmt: skip
    assert {found.about for found in audit.alignment} == {"user", "item"}
    own = audit.alignment[0]
    assert own.verdict == "undecided"
    assert "too few" in own.why
    assert read_alignments(read_json(run.audit_json)) == audit.alignment

    def moved(split: str) -> Callable[[Rows], None]:
        def change(rows: Rows) -> None:
            taken = {(row["user"], row["item"]) for row in rows}
            for row in rows:
                free = [item for item in range(8) if (row["user"], item) not in taken]
                if row["split"] == split and free:
                    row["item"] = free[0]
                    taken.add((row["user"], free[0]))

        return change

    for held_out in ("valid", "test"):
        edit_interactions(run, moved(held_out))
        assert audit_run(run.root).alignment == audit.alignment
    split = read_split(run.dataset)
    sizes = {"n_users": split.n_users, "n_items": split.n_items}
    assert probe_texts(run, {}, split.pairs["train"], **sizes) == audit.alignment[:1]
    assert probe_texts(run, {}, split.pairs["train"][::2], **sizes) != audit.alignment[:1]


def test_edges_are_judged_by_validation_alone(run: RunFolder) -> None:
    audit = audit_run(run.root)
    worth = {(found.source, found.task): found for found in audit.edge_worth}
    assert worth.keys() == {(SOURCE, "edges"), (REPLAYED, "edges")}
    own = worth[SOURCE, "edges"]
    assert (own.users, own.edges, own.right, own.chosen) == (
        3,
        3,
        1,
        3,
    )  # 0 -> 2 is in valid
    assert own.precision.mean == own.choice.mean == pytest.approx(1 / 3)
    assert own.random.mean == pytest.approx(1 / 3)  # one of the three candidates of each is
    assert read_edge_worths(read_json(run.audit_json)) == audit.edge_worth

    def without_test(rows: Rows) -> None:
        rows[:] = [row for row in rows if row["split"] != "test"]

    edit_interactions(run, without_test)
    assert audit_run(run.root).edge_worth == audit.edge_worth
    edit_interactions(run, lambda rows: rows.__setitem__(slice(None), [r for r in rows if r["split"] == "train"]))
    assert {found.right for found in audit_run(run.root).edge_worth} == {0}


def test_texts_are_not_judged_where_the_run_is_not_sound(run: RunFolder) -> None:
    edit_answers(run, "user_profile", lambda rows: rows[0].update(shown_history=[4]))
    audit = audit_run(run.root)
    assert audit.violations
    assert audit.alignment == ()


def test_what_the_texts_say_is_printed(run: RunFolder) -> None:
    shown = io.StringIO()
    render(audit_run(run.root), Console(file=shown, width=200))
    assert "the data's own text (" in shown.getvalue()
    assert "undecided:" in shown.getvalue()
    coloured = io.StringIO()
    render(audit_run(run.root), Console(file=coloured, width=200, force_terminal=True, color_system="standard"))
    (line,) = (line for line in coloured.getvalue().splitlines() if "the data's own text (" in line)
    assert "\x1b" not in line


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("config.yaml", "variants: [\n", "the run's config cannot be read: .*expected"),
        ("dataset/dataset.json", "[]", "the file is no object"),
    ],
)
def test_what_nobody_can_read_is_named_and_never_passed_over(
    run: RunFolder, file: str, content: str, said: str
) -> None:
    (run.root / file).write_text(content)
    with pytest.raises(DataError, match=said) as error:
        audit_run(run.root)
    assert (error.value.where, bool(error.value.remedy)) == (str(run.root / file), True)
