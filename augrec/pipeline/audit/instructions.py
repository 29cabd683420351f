"""The audit of what a language model is taught: no answer, history or hint of an instruction has seen what is held out.

Everything is derived again from interactions, folds and the folds' neighbours. What an instruction says that its prompt
shows is compared with the text of the prompt, line by line: the words are what is learnt from.

Items that a prompt offers beside the targets are drawn among all that are not in training, so one may be an item of
validation or test that the user does like. To leave these out one would have to know them.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from augrec.artefacts.files import parse_json, read_json, read_parquet
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.audit.checks import Check, Split
from augrec.pipeline.audit.saved_config import saved_config

LISTED = re.compile(r"^(?:- |[A-Za-z]\. |\d+\. |[^\n:]{1,40} to rate: )(?P<item>.+)$", re.MULTILINE)
"""A line of a built-in template that names an item."""
ORDERED = re.compile(r"best first: (?P<labels>\w+(?:, \w+)*)\. ")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
PREDICTED = re.compile(r"predicts (?P<rating>-?\d+\.\d)\. ")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ROUNDED = 0.0501
"""Of a rating that is shown with one digit."""
BEGINNING = 4

TITLES = {
    "asked": "tune: instructions ask about what their fold held out",
    "held": "tune: no held-out interaction is taught, or is in a history",
    "history": "tune: histories are of training, without what the fold held out",
    "similar": "tune: a similar user is one of the model without the fold",
    "hints": "tune: predictions are scores of the model without the fold",
    "answers": "tune: answers are what training says",
    "words": "tune: prompts name what they say that they show",
}


def audit_instructions(folder: Path, split: Split, file: Path | None = None) -> list[Check]:
    """Instructions of the run's own data; those of others (`also`) have an audit of their own.

    Args:
        folder: the run.
        split: its interactions.
        file: where the instructions lie; those that the run taught unless given.
    """
    run = RunFolder(folder)
    facts = Facts.read(run, split)
    rows = dict.fromkeys(TITLES, 0)
    problems: dict[str, list[str]] = {name: [] for name in TITLES}
    title = read_json(run.dataset_json).get("name")
    for line in _lines(file or run.tune.instructions):
        if line.get("dataset") != title:
            continue
        for name, problem in _Instruction(line, facts).findings():
            rows[name] += 1
            problems[name] += [f"{line['id']}: {problem}"] if problem else []
    return [Check(TITLES[name], rows[name], tuple(problems[name])) for name in TITLES if rows[name] or name != "hints"]


@dataclass(frozen=True)
class Facts:
    """What instructions are compared with.

    Attributes:
        users, items: contiguous ids by the source's.
        held: rows of `held_out.parquet` by user and fold.
        nearest: of a fold and a user, who is most alike by the model without the fold.
        named: of the beginning of a line that names an item, the whole of it and the items that are called so.
        scales: the numbers that a task answers with, where the config says which.
    """

    split: Split
    users: dict[str, int]
    items: dict[str, int]
    held: dict[tuple[int, int], pd.DataFrame]
    nearest: dict[tuple[int, int], int]
    named: dict[str, dict[str, set[int]]]
    scales: dict[str, list[float]]

    @classmethod
    def read(cls, run: RunFolder, split: Split) -> Facts:
        """Reads a run's files without the code that wrote them."""
        held = read_parquet(run.base.held_out, remedy="run `augrec base CONFIG`").to_pandas()
        near = read_parquet(run.base.neighbours, remedy="run `augrec base CONFIG`").to_pandas()
        near = near[near["rank"] == 0]
        items = read_parquet(run.items).to_pandas()
        return cls(
            split,
            _places(read_parquet(run.users)["source_id"].to_pylist()),
            _places(items["source_id"].tolist()),
            {(int(key[0]), int(key[1])): rows for key, rows in held.groupby(["user", "fold"])},
            dict(zip(zip(near["fold"], near["user"], strict=True), near["neighbour"].tolist(), strict=True)),
            _names(items),
            _scales(run),
        )

    @cached_property
    def held_out(self) -> set[tuple[int, int]]:
        """(user, item) of validation and test."""
        pairs = np.concatenate([self.split.pairs[name] for name in ("valid", "test")])
        return {(int(user), int(item)) for user, item in pairs}


class _Instruction:
    """One line of the file, and what is wrong with it."""

    def __init__(self, line: dict[str, Any], facts: Facts) -> None:
        self.line, self.facts = line, facts
        self.user, self.fold = facts.users.get(line["user"], -1), _fold(line["id"])
        self.asked, self.targets, self.history, self.similar = (
            [facts.items.get(name, -1) for name in line.get(key) or ()]
            for key in ("items", "targets", "history", "similar")
        )
        self.text = "\n".join(message["content"] for message in line["prompt"] if message["role"] == "user")
        rows = facts.held.get((self.user, self.fold))
        columns = {} if rows is None else {name: rows[name].tolist() for name in ("item", "drawn", "score", "rating")}
        self.score = dict(zip(columns.get("item", ()), columns.get("score", ()), strict=True))
        self.rating = dict(zip(columns.get("item", ()), columns.get("rating", ()), strict=True))
        self.own = {item for item, drawn in zip(columns.get("item", ()), columns.get("drawn", ()), strict=True)
                    if not drawn}  # fmt: skip

    def findings(self) -> Iterator[tuple[str, str]]:
        """The checks that apply, by name, and what is wrong; "" for nothing."""
        if not self.asked or not self.targets:
            yield "asked", "does not say what it asks about, or which of it the user likes"
            return
        scored = set(self.asked) <= set(self.score) and set(self.targets) <= self.own
        yield "asked", "" if scored else "asks about what its fold did not score, or did not hold out"
        held = [item for item in (*self.targets, *self.history) if (self.user, item) in self.facts.held_out]
        yield "held", f"item {held[0]} is held out of the training" if held else ""
        yield "history", self._history()
        yield "similar", self._similar()
        for problem in self._hints():
            yield "hints", problem
        yield "answers", self._answer()
        yield "words", self._words()

    def _history(self) -> str:
        known = [item for item in self.facts.split.train_history.get(self.user, ()) if item not in self.own]
        if not self.history:
            return "does not say which history it shows; run `augrec tune` again"
        return "" if self.history == known[len(known) - len(self.history) :] else "not the latest items of what is left"

    def _similar(self) -> str:
        nearest = self.facts.nearest.get((self.fold, self.user), -1)
        latest = self.facts.split.train_history.get(nearest, [])[::-1]
        return "" if self.similar == latest[: len(self.similar)] else "not the latest items of the nearest user"

    def _hints(self) -> Iterator[str]:
        """What the prompt says that a recommender predicts; nothing where it says so in other words."""
        if (ordered := ORDERED.search(self.text)) is not None:
            labels = [_place(label) for label in ordered["labels"].split(", ")]
            if sorted(labels) != list(range(len(self.asked))):  # labels that are none are -1
                yield f"predicts an order of {len(labels)} items, and asks about {len(self.asked)}"
            else:
                scores = [self.score.get(self.asked[place], np.nan) for place in labels]
                yield "" if (np.diff(scores) <= 0).all() else "the order is not that of the scores"
        if (predicted := PREDICTED.search(self.text)) is not None:
            said, score = float(predicted["rating"]), self.score.get(self.asked[0], np.nan)
            yield "" if abs(said - score) <= ROUNDED else f"predicts {said}, and the score is {score:.3f}"

    def _answer(self) -> str:
        """Letters and orders put the targets first; a number is the rating, or of a given scale one that is nearest."""
        said = self.line["completion"]
        fields = _fields(said)
        if isinstance(order := fields.get("order"), list):
            whole = Counter(map(str, order)) == Counter(str(place + 1) for place in range(len(self.asked)))
            first = [self.asked[int(place) - 1] for place in order[: len(self.targets)]] if whole else []
            return "" if set(first) == set(self.targets) else f"{said} does not put the targets first"
        if "rating" in fields or NUMBER.fullmatch(said):
            told, rating = str(fields.get("rating", said)), self.rating.get(self.targets[0], np.nan)
            number = float(told) if NUMBER.fullmatch(told) else np.nan
            nearest = _nearest(self.facts.scales.get(self.line["task"]) or [rating], rating)
            return "" if any(number == one for one in nearest) else f"says {number:g}, and the rating is {rating:g}"
        if len(said) == 1 and said in LETTERS:
            place = LETTERS.index(said)
            right = place < len(self.asked) and self.asked[place] in self.targets
            return "" if right else f"{said} is no target"
        return ""  # of a task of somebody else's

    def _words(self) -> str:
        """Every line of the prompt that names an item names one that the instruction says it shows."""
        said = {*self.asked, *self.history, *self.similar}
        for found in LISTED.finditer(self.text):
            named = _named(found["item"], self.facts.named)
            if named and not named & said:
                return f"names {found['item']!r}, which it does not say that it shows"
        return ""


def _places(names: Sequence[Any]) -> dict[str, int]:
    return {str(name): place for place, name in enumerate(names)}


def _place(label: str) -> int:
    """The place of a letter or number; -1 of what is neither."""
    return LETTERS.index(label) if label in LETTERS else int(label) - 1 if label.isdecimal() else -1


def _fold(name: str) -> int:
    """The fold that an id names; -1 where it names none."""
    parts = name.split("/")
    return int(parts[-2]) if len(parts) > 1 and parts[-2].isdecimal() else -1


def _fields(said: str) -> dict[str, Any]:
    """An answer that is an object."""
    try:
        fields = parse_json(said)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _scales(run: RunFolder) -> dict[str, list[float]]:
    tasks = (saved_config(run.root).get("generation") or {}).get("tasks") or {}
    given = {name: options["scale"] for name, options in tasks.items() if options and options.get("scale")}
    return {name: [float(step) for step in scale] for name, scale in given.items()}


def _nearest(scale: list[float], rating: float) -> list[float]:
    """The numbers of a scale that are nearest to a rating, as they are written; nan of nan."""
    away = [abs(step - rating) for step in scale]
    return [float(f"{step:g}") for step, one in zip(scale, away, strict=True) if one == min(away)]


def _names(items: pd.DataFrame) -> dict[str, dict[str, set[int]]]:
    """By their beginnings, titles with the year as a line of a prompt begins, and the items that are called so."""
    named: dict[str, dict[str, set[int]]] = defaultdict(dict)
    titles = items["title"] if "title" in items else [None] * len(items)
    years = items["year"] if "year" in items else [None] * len(items)
    for item, (title, year) in enumerate(zip(titles, years, strict=True)):
        if isinstance(title, str) and (name := _bare(title)):
            whole = name + ("" if year is None or pd.isna(year) else str(int(year)))
            named[whole[:BEGINNING]].setdefault(whole, set()).add(item)
    return named


def _named(line: str, named: dict[str, dict[str, set[int]]]) -> set[int]:
    """The items that a line may name: those of the longest title that it begins with."""
    bare = _bare(line)
    fits = {
        name: items
        for length in range(1, BEGINNING + 1)
        for name, items in named.get(bare[:length], {}).items()
        if bare.startswith(name)
    }
    return fits[max(fits, key=len)] if fits else set()


def _bare(text: str) -> str:
    """Letters and digits alone: what is shown of a title has other brackets, spaces and lengths."""
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as content:
        yield from map(json.loads, content)
