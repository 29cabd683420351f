"""The audit finds a hint that has seen its answer, whichever mistake let it in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augrec.artefacts.files import read_json, write_json
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.tasks import Edges, Insertions, TaskCard, write_card
from augrec.pipeline.audit.checks import Asked, Check, Split
from augrec.pipeline.audit.hints import audit_base, audit_similar
from augrec.pipeline.audit.insertions import audit_insertions, wrong_picks
from augrec.pipeline.audit.interactions import read_split
from recsys import augmentation
from tests.kit.toy_config import toy_config, write_config
from tests.kit.toy_data import write_toy_data
from tests.kit.toy_run import advance, open_run

SECTIONS = """
models: {mf: {family: mf_bpr, dim: 4}, popular: {training: {monitor: recall@10}}}
base: {model: mf, folds: 2, list_size: 4, negatives: 3, similar: 2}
"""
Edit = Callable[[list[dict[str, Any]]], None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose base was made in this process."""
    root = tmp_path_factory.mktemp("hints")
    run = open_run(root, toy_config(write_toy_data(root / "data"), SECTIONS))
    advance(run, "prepare", "base")
    return run.folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> RunFolder:
    shutil.copytree(made, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def wrong(checks: list[Check]) -> dict[str, tuple[str, ...]]:
    return {check.name: check.violations for check in checks if check.violations}


def edit(path: Path, change: Edit) -> None:
    table = pq.read_table(path)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


def first(rows: list[dict[str, Any]], **where: Any) -> dict[str, Any]:
    return next(row for row in rows if all(row[name] == value for name, value in where.items()))


def unseen(split: Split, user: int, beside: set[int] = frozenset()) -> int:  # type: ignore[assignment]
    return next(i for i in range(split.n_items) if i not in split.train_history[user] and i not in beside)


def test_a_sound_run_has_nothing_wrong(run: RunFolder) -> None:
    checks = audit_base(run.root, read_split(run.dataset))
    assert wrong(checks) == {}
    assert len(checks) == 9
    assert all(check.rows for check in checks)


def not_of_training(rows: list[dict[str, Any]], split: Split) -> None:
    row = first(rows, drawn=False)
    row["item"] = unseen(split, row["user"], {other["item"] for other in rows if other["user"] == row["user"]})


def twice(rows: list[dict[str, Any]], split: Split) -> None:
    rows.append({**first(rows, drawn=False, fold=0), "fold": 1})


def drawn_of_training(rows: list[dict[str, Any]], split: Split) -> None:
    row = first(rows, drawn=True)
    row["item"] = split.train_history[row["user"]][0]


def drawn_alone(rows: list[dict[str, Any]], split: Split) -> None:
    row = first(rows, drawn=True)
    row["fold"] = 7


def kept_in_training(rows: list[dict[str, Any]], split: Split) -> None:
    asked = [(row["user"], row["fold"]) for row in rows if not row["drawn"]]
    rows.remove(next(row for row in rows if not row["drawn"] and asked.count((row["user"], row["fold"])) > 1))


HELD, DRAWN, WITHOUT = (
    "base: folds hold out training interactions, each once",
    "base: drawn items have no training interaction",
    "base: models were trained without what they score",
)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (not_of_training, {HELD, WITHOUT}),
        (twice, {HELD, WITHOUT}),
        (drawn_of_training, {DRAWN}),
        (drawn_alone, {DRAWN, WITHOUT}),
        (kept_in_training, {WITHOUT}),
    ],
)
def test_folds_that_do_not_hold_out_are_found(run: RunFolder, change: Any, names: set[str]) -> None:
    split = read_split(run.dataset)
    edit(run.base.held_out, lambda rows: change(rows, split))
    assert set(wrong(audit_base(run.root, split))) == names


def test_a_model_that_was_trained_on_more_is_found(run: RunFolder) -> None:
    about = read_json(run.base.trained_on("fold-1"))
    write_json(run.base.trained_on("fold-1"), read_json(run.base.trained_on("whole")))
    ((name, said),) = wrong(audit_base(run.root, read_split(run.dataset))).items()
    assert name == WITHOUT
    assert said[0].startswith("fold-1: was trained on")
    write_json(run.base.trained_on("fold-1"), {**about, "sha256": "0" * 64})
    assert WITHOUT in wrong(audit_base(run.root, read_split(run.dataset)))


def test_lists_that_are_not_the_vectors_are_found(run: RunFolder) -> None:
    split, name = read_split(run.dataset), "base: lists follow from the vectors"
    whole = pq.read_table(run.base.lists)

    def swapped(rows: list[dict[str, Any]]) -> None:
        rows[0]["item"], rows[1]["item"] = rows[1]["item"], rows[0]["item"]

    def in_another_order(rows: list[dict[str, Any]]) -> None:
        swapped(rows)
        rows[0]["score"], rows[1]["score"] = rows[1]["score"], rows[0]["score"]

    def better(rows: list[dict[str, Any]]) -> None:
        rows[0]["score"] += 1.0

    def another(rows: list[dict[str, Any]]) -> None:
        rows[3]["item"] = unseen(
            split, rows[3]["user"], {row["item"] for row in rows if row["user"] == rows[3]["user"]}
        )

    for change in (swapped, in_another_order, better, another):
        pq.write_table(whole, run.base.lists)
        edit(run.base.lists, change)
        assert set(wrong(audit_base(run.root, split))) == {name}
    pq.write_table(whole, run.base.lists)
    edit(run.base.lists, lambda rows: rows[0].update(item=split.train_history[rows[0]["user"]][0]))
    assert "base lists hold no training interaction" in wrong(audit_base(run.root, split))


def test_neighbours_that_are_not_the_vectors_are_found(run: RunFolder) -> None:
    split, whole = read_split(run.dataset), pq.read_table(run.base.neighbours)

    def another(rows: list[dict[str, Any]]) -> None:
        near = {row["neighbour"] for row in rows if row["fold"] == -1 and row["user"] == 5}
        row = first(rows, fold=-1, user=5, rank=0)
        row["neighbour"] = next(user for user in range(split.n_users) if user != 5 and user not in near)

    def own(rows: list[dict[str, Any]]) -> None:
        first(rows, fold=1, user=5, rank=0)["neighbour"] = 5

    edit(run.base.neighbours, another)
    assert set(wrong(audit_base(run.root, split))) == {"base: the nearest users follow from the vectors"}
    pq.write_table(whole, run.base.neighbours)
    edit(run.base.neighbours, own)
    assert set(wrong(audit_base(run.root, split))) == {"base: neighbours are other users with training interactions"}


def test_what_is_shown_of_a_similar_user_is_their_latest_training_items(run: RunFolder) -> None:
    split = read_split(run.dataset)
    near = pq.read_table(run.base.neighbours).to_pylist()
    theirs = split.train_history[first(near, fold=-1, user=3, rank=0)["neighbour"]]
    sound = {"entity": 3, "key": "k" * 64, "shown_similar": theirs[:-4:-1]}
    (check,) = audit_similar(run.root, "llm pair", [sound, {**sound, "shown_similar": []}], split)
    assert (check.rows, check.violations) == (1, ())
    stranger = unseen(split, first(near, fold=-1, user=3, rank=0)["neighbour"])
    for shown, what in (
        ([stranger], f"item {stranger} is not the nearest user's"),
        (theirs[:2], "not the latest items"),
        (theirs[-3:], "not the latest items"),
    ):
        (check,) = audit_similar(run.root, "llm pair", [{**sound, "shown_similar": shown}], split)
        assert what in check.violations[0]
    assert audit_similar(run.root, "llm pair", [{**sound, "shown_similar": []}], split) == []


def test_picks_of_training_items_or_of_none_that_were_shown_are_found(run: RunFolder) -> None:
    split = read_split(run.dataset)
    one, two = unseen(split, 0), unseen(split, 0, {unseen(split, 0)})
    record = {"entity": 0, "status": "ok", "shown_candidates": [one, two], "fields": json.dumps({"item": two})}
    task = Asked("pick", "user", "insertions", False, (), False)
    assert wrong_picks([record], task, split) == ()
    (said,) = wrong_picks([{**record, "fields": json.dumps({"item": 99})}], task, split)
    assert "not among the choices" in said
    train = split.train_history[0][0]
    (said,) = wrong_picks([{**record, "shown_candidates": [one, two, train]}], task, split)
    assert f"item {train} was shown as a choice but is in train" in said


def test_an_item_of_training_in_a_sequence_is_found(run: RunFolder) -> None:
    split = read_split(run.dataset)
    task = run.source("llm").task("pick")
    write_card(task.card, TaskCard(name="pick", about="user", gives=Insertions()))
    write_json(run.summary, {"sources": {"llm": {"tasks": {"pick": {}}}}})
    config = toy_config("data", SECTIONS, {"variants": {"picks": {"model": "mf", "source": "llm"}}})
    write_config(run.config, config)
    run.training("picks", 1).root.mkdir(parents=True)
    users = np.arange(6)

    def write(items: list[int]) -> list[Check]:
        fields = [json.dumps({"item": item}) for item in items]
        shown = [[item, (item + 1) % split.n_items] for item in items]
        rows = {
            "entity": pa.array(users, pa.int32()),
            "status": ["ok"] * 6,
            "fields": fields,
            "shown_candidates": shown,
        }
        pq.write_table(pa.table(rows), task.records)
        return audit_insertions(run.root, split)

    (check,) = write([unseen(split, user) for user in users])
    assert (check.rows, check.violations) == (6, ())
    (check,) = write([split.train_history[0][1], *(unseen(split, user) for user in users[1:])])
    assert len(check.violations) == 1
    assert check.violations[0].startswith("picks, seed 1: user 0, item")


def test_a_place_behind_the_last_item_is_found(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of whatever source gives any, beside other answers too; nothing is said before a source has answered."""
    split = read_split(run.dataset)
    item, places = unseen(split, 0), [0, len(split.train_history[0]) - 1, len(split.train_history[0])]
    given = augmentation.Insertions(np.zeros(3, np.int64), np.full(3, item), np.array(places))
    monkeypatch.setattr(
        "augrec.pipeline.side.side_information.side_information",
        lambda *_: augmentation.SideInformation(insertions=given),
    )
    variants = {"variants": {"picks": {"model": "mf", "source": "llm"}, "plain": {"model": "mf"}}}
    write_config(run.config, toy_config("data", SECTIONS, variants))
    for name in ("picks", "plain"):
        run.training(name, 1).root.mkdir(parents=True)
    assert audit_insertions(run.root, split) == []
    for name, gives in (("pair", Edges()), ("pick", Insertions())):
        write_card(run.source("llm").task(name).card, TaskCard(name=name, about="user", gives=gives))
    write_json(run.summary, {"sources": {"llm": {"tasks": {"pair": {}, "pick": {}}}}})
    (check,) = audit_insertions(run.root, split)
    assert (check.rows, check.violations) == (3, (f"picks, seed 1: user 0, item {item} at place {places[-1]}",))
