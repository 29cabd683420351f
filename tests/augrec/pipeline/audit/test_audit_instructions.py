"""The audit finds an instruction that teaches what is held out, or that shows what it does not say."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from typer.testing import CliRunner

from augment.engines.vllm.chat import Chat
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_parquet, write_parquet
from augrec.artefacts.instructions import write_instructions
from augrec.artefacts.run_folder import RunFolder
from augrec.cli import app
from augrec.pipeline.audit import audit_file
from augrec.pipeline.audit.checks import Split
from augrec.pipeline.audit.instructions import TITLES, audit_instructions
from augrec.pipeline.audit.interactions import read_split
from augrec.pipeline.tuning.instructions import make_instructions
from tests.kit.chat_folders import write_tokenizer
from tests.kit.toy_config import toy_config
from tests.kit.toy_data import write_toy_data
from tests.kit.toy_run import advance, open_run

SECTIONS = """
models: {mf: {family: mf_bpr, dim: 4}, popular: {training: {monitor: recall@10}}}
base: {model: mf, folds: 2, list_size: 4, negatives: 8, similar: 2}
generation:
  sources: {rule: {engine: {kind: heuristic}, tasks: [pair]}}
  tasks:
    pair: {similar_user: true, prediction: true}
    ranking: {similar_user: true, prediction: true}
"""
Line = dict[str, Any]


class Taught:
    """A run's instructions as plain lines, and the audit of changed ones."""

    def __init__(self, run: RunFolder) -> None:
        self.run, self.split = run, read_split(run.dataset)
        text = run.tune.instructions.read_text(encoding="utf-8")
        self.lines: list[Line] = [json.loads(line) for line in text.splitlines()]
        self.items = [str(name) for name in read_parquet(run.items)["source_id"].to_pylist()]
        self.users = [str(name) for name in read_parquet(run.users)["source_id"].to_pylist()]

    def of(self, task: str) -> Line:
        """An instruction of a task."""
        return next(line for line in self.lines if line["task"] == task)

    def found(self, *lines: Line) -> dict[str, int]:
        """How many violations each check of TITLES finds."""
        self.run.tune.instructions.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        names = {title: name for name, title in TITLES.items()}
        return {
            names[check.name]: len(check.violations)
            for check in audit_instructions(self.run.root, self.split)
            if check.violations
        }


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    root = tmp_path_factory.mktemp("taught")
    write_tokenizer(root / "llama")
    tune = {
        "model": str(root / "llama"),
        "max_length": 8192,  # bytes are tokens
        "instructions": {"tasks": ["pair", "ranking", "rating"], "count": 20, "positives": 2, "list_size": 6},
    }
    run = open_run(root, toy_config(write_toy_data(root / "data"), SECTIONS, {"tune": tune}))
    advance(run, "prepare", "base")
    run.files.tune.root.mkdir(parents=True)
    made = make_instructions(run, Chat(root / "llama", {}))
    write_instructions(run.files.tune.instructions, made.instructions)
    return Taught(RunFolder(run.folder))


def test_sound_instructions_have_nothing_wrong(taught: Taught) -> None:
    assert taught.found(*taught.lines) == {}
    rows = {check.name: check.rows for check in audit_instructions(taught.run.root, taught.split)}
    assert rows == {title: 40 if name == "hints" else 60 for name, title in TITLES.items()}
    assert taught.found({**taught.of("pair"), "dataset": "Other", "items": ["?"]}) == {}, "of other data"


def another_fold(taught: Taught, line: Line) -> Line:
    head, fold, number = line["id"].rsplit("/", 2)
    return {**line, "id": f"{head}/{1 - int(fold)}/{number}"}


def other_target(taught: Taught, line: Line) -> Line:
    return {**line, "targets": [next(item for item in line["items"] if item not in line["targets"])]}


def held_out_target(taught: Taught, line: Line) -> Line:
    return {**line, "targets": [_held_out(taught.split, taught, line)]}


def held_out_history(taught: Taught, line: Line) -> Line:
    return {**line, "history": [*line["history"], _held_out(taught.split, taught, line)]}


def target_in_history(taught: Taught, line: Line) -> Line:
    return {**line, "history": [*line["history"], *line["targets"]]}


def somebody_elses_items(taught: Taught, line: Line) -> Line:
    return {**line, "similar": line["history"][-1:]}


def no_history(taught: Taught, line: Line) -> Line:
    return {key: value for key, value in line.items() if key != "history"}


def hinted_by_the_answer(taught: Taught, line: Line) -> Line:
    """The order of the prediction, reversed: as good as one by a model that saw the answer."""
    first, second = ("A, B", "B, A") if "best first: A, B" in line["prompt"][-1]["content"] else ("B, A", "A, B")
    return _reworded(line, lambda text: text.replace(f"best first: {first}", f"best first: {second}"))


def hinted_by_no_letter(taught: Taught, line: Line) -> Line:
    """In the place of B, whose order is right."""
    return _reworded(line, lambda text: re.sub(r"(best first: (?:A, )?)B", r"\1AA", text))


def last_two_hinted_the_other_way(taught: Taught, line: Line) -> Line:
    """The rest of the order is that of the scores."""
    return _reworded(line, lambda text: re.sub(r"(best first: .*), (\w+), (\w+)\. ", r"\1, \3, \2. ", text))


def other_answer(taught: Taught, line: Line) -> Line:
    return {**line, "completion": {"A": "B", "B": "A"}[line["completion"]]}


def answer_behind_the_last(taught: Taught, line: Line) -> Line:
    return {**line, "completion": "C"}


def other_order(taught: Taught, line: Line) -> Line:
    return {**line, "completion": json.dumps({"order": json.loads(line["completion"])["order"][::-1]})}


def other_rating(taught: Taught, line: Line) -> Line:
    rating = json.loads(line["completion"])["rating"]
    return {**line, "completion": json.dumps({"rating": rating - 1})}


def words_that_it_does_not_say(taught: Taught, line: Line) -> Line:
    """A line of the history is another film's."""
    shown = {*line["items"], *line["history"], *line["similar"]}
    other = next(item for item in taught.items if item not in shown)
    first = line["prompt"][-1]["content"].splitlines()[1]
    return _reworded(line, lambda text: text.replace(first, f"- Film {other} ({1980 + int(other)}), Drama", 1))


@pytest.mark.parametrize(
    ("task", "change", "found"),
    [
        ("pair", another_fold, {"asked", "history"}),
        ("pair", other_target, {"asked", "answers"}),
        ("pair", held_out_target, {"asked", "held", "answers"}),
        ("ranking", held_out_history, {"held", "history"}),
        ("rating", target_in_history, {"history"}),
        ("pair", no_history, {"history"}),
        ("ranking", somebody_elses_items, {"similar"}),
        ("pair", hinted_by_the_answer, {"hints"}),
        ("pair", hinted_by_no_letter, {"hints"}),
        ("ranking", last_two_hinted_the_other_way, {"hints"}),
        ("pair", other_answer, {"answers"}),
        ("pair", answer_behind_the_last, {"answers"}),
        ("ranking", other_order, {"answers"}),
        ("rating", other_rating, {"answers"}),
        ("rating", words_that_it_does_not_say, {"words"}),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_what_is_wrong_is_found(
    taught: Taught, task: str, change: Callable[[Taught, Line], Line], found: set[str]
) -> None:
    assert found <= set(taught.found(taught.of(task), change(taught, taught.of(task))))


@pytest.mark.parametrize(
    ("task", "change", "found"),
    [
        ("pair", {"id": "by hand"}, {"asked"}),
        ("pair", {"targets": []}, {"asked"}),
        ("ranking", {"items": []}, {"asked"}),
        ("ranking", {"completion": '{"order": [1, 99]}'}, {"answers"}),
        ("ranking", {"completion": '{"order": ["a", {}]}'}, {"answers"}),
        ("rating", {"completion": '{"rating": "high"}'}, {"answers"}),
        ("rating", {"completion": '{"rating": '}, set()),
    ],
)
def test_what_was_changed_by_hand_is_judged_as_far_as_it_says_anything(
    taught: Taught, task: str, change: Line, found: set[str]
) -> None:
    assert found <= set(taught.found({**taught.of(task), **change}))


@pytest.mark.parametrize("name", ["by hand {}", "hand/made/{}", "{}"])
def test_an_id_that_names_no_fold_is_that_of_none(taught: Taught, name: str) -> None:
    lines = [{**line, "id": name.format(n + 10)} for n, line in enumerate(taught.lines)]
    assert taught.found(*lines)["asked"] == len(lines)


def test_a_file_that_is_taught_elsewhere_is_audited_against_the_run(taught: Taught, tmp_path: Path) -> None:
    file, other = tmp_path / "taught.jsonl", {**taught.of("pair"), "id": "x/0/0", "dataset": "Other\x1b[2J"}

    def audited(*lines: Line, code: int) -> str:
        file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        result = CliRunner().invoke(
            app, ["audit", str(taught.run.root), "--instructions", str(file)], env={"COLUMNS": "300"}
        )
        assert result.exit_code == code
        return re.sub(r"\s+", " ", result.output)

    taught.run.tune.instructions.unlink(missing_ok=True)  # it lies where it was written to, and nowhere else
    sound = audited(*taught.lines, other, code=0)
    assert all(f"{title} " in sound for title in TITLES.values())
    assert "base: models were trained without what they score" in sound
    assert "instructions of other data sets were not looked at: 'Other" in sound
    assert "\x1b" not in sound
    held = held_out_target(taught, taught.of("pair"))
    assert f"{TITLES['held']}: {held['id']}: item {taught.items.index(*held['targets'])} is held" in audited(
        held, code=1
    )
    assert not taught.run.audit_json.exists()

    file.write_text(json.dumps(other), encoding="utf-8")
    with pytest.raises(DataError, match="no instruction is of the run's data set 'Toy'"):
        audit_file(taught.run.root, file)
    file.write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match="`id` must be a text"):
        audit_file(taught.run.root, file)


def test_without_instructions_the_checks_looked_at_nothing(taught: Taught) -> None:
    assert taught.found() == {}
    rows = {check.name: check.rows for check in audit_instructions(taught.run.root, taught.split)}
    assert rows == {title: 0 for name, title in TITLES.items() if name != "hints"}


def test_an_item_and_a_user_of_no_name_here_are_taken_for_nobody(taught: Taught) -> None:
    name = taught.items[1]
    line = next(line for line in taught.lines if name in line["items"] and name not in line["targets"])
    assert "asked" in taught.found({**line, "items": ["?" if item == name else item for item in line["items"]]})
    latest = taught.items[taught.split.train_history[1][-1]]
    assert "similar" in taught.found({**line, "user": "?", "similar": [latest]})
    first = next(line for line in taught.lines if line["user"] == taught.users[1])
    assert "asked" in taught.found({**first, "user": "?"})


def test_the_fold_is_the_last_but_one_part_of_an_id(taught: Taught) -> None:
    line = taught.of("pair")
    assert taught.found({**line, "id": "/".join(line["id"].split("/")[-2:])}) == {}


def test_all_that_a_fold_scored_and_held_out_may_be_asked_about(taught: Taught) -> None:
    line = taught.of("ranking")
    place = taught.users.index(line["user"]), int(line["id"].rsplit("/", 2)[1])
    rows = [row for row in read_parquet(taught.run.base.held_out).to_pylist() if (row["user"], row["fold"]) == place]
    names = {
        drawn: [taught.items[row["item"]] for row in rows if bool(row["drawn"]) is drawn] for drawn in (False, True)
    }
    assert "asked" not in taught.found({**line, "items": names[False] + names[True], "targets": names[False]})
    assert "asked" in taught.found({**line, "items": names[False] + names[True], "targets": names[True]})


@pytest.mark.parametrize(
    ("scale", "rating", "right"),
    [
        (None, 2.5, {2.5}),
        ([1, 2, 3, 4, 5], 2.5, {2, 3}),
        ([1, 2.5, 5], 2.0, {2.5}),
        ([2, 10 / 3, 4], 3.0, {3.33333}),
    ],
)
def test_a_rating_is_said_by_the_nearest_number_of_the_scale_that_is_given(
    taught: Taught, tmp_path: Path, scale: list[float] | None, rating: float, right: set[float]
) -> None:
    other = elsewhere(taught, tmp_path)
    held = read_parquet(other.run.base.held_out)
    ratings = pa.array([rating] * held.num_rows, held.schema.field("rating").type)
    write_parquet(other.run.base.held_out, held.set_column(held.column_names.index("rating"), "rating", ratings))
    config = {"generation": {"tasks": {"pair": None, "rating": {"scale": scale}}}}
    other.run.config.write_text(yaml.safe_dump(config), encoding="utf-8")
    line = taught.of("rating")
    said = {
        number: set(other.found({**line, "completion": json.dumps({"rating": number})}))
        for number in (1, 2, 2.5, 3, 3.33333, 4, 5)
    }
    assert said == {number: set() if number in right else {"answers"} for number in said}


@pytest.mark.parametrize("said", ["?", "", "AB", "neither"])
def test_of_an_answer_of_another_kind_nothing_is_said(taught: Taught, said: str) -> None:
    line = next(line for line in taught.lines if line["task"] == "pair" and line["completion"] == "B")
    assert taught.found({**line, "completion": said}) == {}


def test_of_equal_scores_any_order_is_theirs(taught: Taught, tmp_path: Path) -> None:
    other = elsewhere(taught, tmp_path)
    held = read_parquet(other.run.base.held_out)
    scores = pa.array([0.5] * held.num_rows, held.schema.field("score").type)
    write_parquet(other.run.base.held_out, held.set_column(held.column_names.index("score"), "score", scores))
    line = taught.of("pair")
    assert other.found(line, hinted_by_the_answer(taught, line)) == {}


def test_where_items_have_no_titles_no_words_are_compared(taught: Taught, tmp_path: Path) -> None:
    other = elsewhere(taught, tmp_path)
    write_parquet(other.run.items, read_parquet(other.run.items).drop_columns("title"))
    assert other.found(*taught.lines) == {}


def test_items_without_years_are_named_by_their_titles(taught: Taught, tmp_path: Path) -> None:
    other = elsewhere(taught, tmp_path)
    write_parquet(other.run.items, read_parquet(other.run.items).drop_columns("year"))
    undated = [_reworded(line, lambda text: re.sub(r" \(\d{4}\)", "", text)) for line in taught.lines]
    assert other.found(*undated) == {}
    assert set(other.found(words_that_it_does_not_say(taught, taught.of("rating")))) == {"words"}


@pytest.mark.parametrize(("known", "title"), [("M", "M II"), ("N", "M")])
def test_a_line_names_the_item_of_the_longest_title(taught: Taught, tmp_path: Path, known: str, title: str) -> None:
    """Which the instruction does not say that it shows, however short it is and whatever it begins with."""
    line = taught.of("rating")
    shown = {*line["items"], *line["history"], *line["similar"]}
    called = {line["history"][0]: known, next(item for item in taught.items if item not in shown): title}
    other = elsewhere(taught, tmp_path)
    items = read_parquet(other.run.items)
    rows = [
        {**row, "title": called[name], "year": None} if (name := str(row["source_id"])) in called else row
        for row in items.to_pylist()
    ]
    write_parquet(other.run.items, pa.Table.from_pylist(rows, schema=items.schema))
    first = line["prompt"][-1]["content"].splitlines()[1]
    assert other.found(line) == {}
    assert set(other.found(_reworded(line, lambda text: text.replace(first, f"- {title}, Drama", 1)))) == {"words"}


def test_a_prediction_is_rounded_to_its_nearest_digit(taught: Taught) -> None:
    line = taught.of("rating")
    user, fold = taught.users.index(line["user"]), int(line["id"].rsplit("/", 2)[1])
    (score,) = (
        row["score"]
        for row in read_parquet(taught.run.base.held_out).to_pylist()
        if (row["user"], row["fold"], row["item"]) == (user, fold, taught.items.index(line["items"][0]))
    )
    near = round(score, 1)
    far = near + (0.1 if score > near else -0.1)
    said = {
        rating: set(taught.found(_reworded(line, lambda text, rating=rating: f"{text}\nIt predicts {rating:.1f}. ")))
        for rating in (near, far)
    }
    assert said == {near: set(), far: {"hints"}}


def elsewhere(taught: Taught, folder: Path) -> Taught:
    """A copy of the run, to be damaged."""
    taught.found(*taught.lines)
    shutil.copytree(taught.run.root, folder / "run")
    return Taught(RunFolder(folder / "run"))


def _held_out(split: Split, taught: Taught, line: Line) -> str:
    user = taught.users.index(line["user"])
    return taught.items[next(int(item) for one, item in split.pairs["test"] if one == user)]


def _reworded(line: Line, change: Callable[[str], str]) -> Line:
    *others, last = line["prompt"]
    changed = change(last["content"])
    assert changed != last["content"]
    return {**line, "prompt": [*others, {**last, "content": changed}]}
