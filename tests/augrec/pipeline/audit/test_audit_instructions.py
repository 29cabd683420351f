"""The audit finds an instruction that teaches what is held out, or that shows what it does not say."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from augment.engines.vllm.chat import Chat
from augrec.artefacts.files import read_parquet
from augrec.artefacts.instructions import write_instructions
from augrec.artefacts.run_folder import RunFolder
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


def other_answer(taught: Taught, line: Line) -> Line:
    return {**line, "completion": {"A": "B", "B": "A"}[line["completion"]]}


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
        ("pair", other_answer, {"answers"}),
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


def _held_out(split: Split, taught: Taught, line: Line) -> str:
    user = taught.users.index(line["user"])
    return taught.items[next(int(item) for one, item in split.pairs["test"] if one == user)]


def _reworded(line: Line, change: Callable[[str], str]) -> Line:
    *others, last = line["prompt"]
    changed = change(last["content"])
    assert changed != last["content"]
    return {**line, "prompt": [*others, {**last, "content": changed}]}
