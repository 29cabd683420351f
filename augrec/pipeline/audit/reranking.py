"""The audit of re-ranked lists: what was shown, what of, and what became of the lists."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from augrec.artefacts.files import read_json, read_parquet
from augrec.artefacts.run_folder import RerankingFolder, RunFolder
from augrec.pipeline.audit.checks import Check, Split

Lists = dict[int, list[int]]
SPLITS: tuple[Literal["valid", "test"], ...] = ("valid", "test")
AGAIN = "run `augrec rerank CONFIG`"


def audit_reranking(folder: Path, split: Split) -> list[Check]:
    """Prompts show training interactions, and what was listed; lists are rearranged, and never changed otherwise."""
    run = RunFolder(folder)
    summary = read_json(run.rerank_summary, remedy=AGAIN)
    size, rows = int(summary["list_size"]), summary["rows"]
    found = _Found(_nearest(run.base.neighbours))
    trainings = {(row["variant"], int(row["seed"])): row for row in rows}
    for (variant, seed), row in trainings.items():
        rates = read_json(run.reranked(row["row"], seed).metrics, remedy=AGAIN)["judged"] == "rating"
        for name in SPLITS:
            there = run.reranking(variant, seed, name)
            if not there.lists.exists() and not len(split.pairs[name]):
                continue
            where = f"{variant}/seed-{seed}/{name}"
            lists = _lists(there.lists)
            found.listed(where, lists, split, split.pairs[name] if rates else None)
            tasks = {row["task"] for row in rows if row["task"]}
            found.shown(where, there, lists, split, tasks, None if rates else size)
    for row in rows:
        variant, seed = row["variant"], int(row["seed"])
        before, after = run.reranking(variant, seed, "test").lists, run.reranked(row["row"], seed).lists
        rates = read_json(run.reranked(row["row"], seed).metrics, remedy=AGAIN)["judged"] == "rating"
        found.rearranged(f"{row['row']}/seed-{seed}", _lists(before), _lists(after), None if rates else size)
    return found.checks()


class _Found:
    """What is wrong, as it is found."""

    def __init__(self, nearest: dict[int, int]) -> None:
        self._nearest = nearest
        self._rows = dict.fromkeys(("listed", "history", "candidates", "rearranged"), 0)
        self._problems: dict[str, list[str]] = {name: [] for name in self._rows}

    def listed(self, where: str, lists: Lists, split: Split, pairs: np.ndarray | None) -> None:
        """Lists hold no training item and none twice; of a model that rates they are the pairs of the split."""
        for user, items in lists.items():
            known = set(split.train_history.get(user, ()))
            wrong = [item for item in items if item in known or not 0 <= item < split.n_items]
            wrong += [item for item in set(items) if items.count(item) > 1]
            self._say("listed", f"{where}: item {wrong[0]} of user {user}'s list" if wrong else "")
        if pairs is not None:
            here = {(user, item) for user, items in lists.items() for item in items}
            others = here ^ {(int(user), int(item)) for user, item in pairs}
            self._say("listed", f"{where}: {len(others)} pairs are not those of the split" if others else "")

    def shown(
        self, where: str, there: RerankingFolder, lists: Lists, split: Split, tasks: Iterable[str], size: int | None
    ) -> None:
        """Prompts show the latest training items, and candidates are the first items of the list."""
        for task in sorted(tasks):
            records = read_parquet(there.answers.task(task).records, remedy=AGAIN).to_pylist()
            for record in records:
                user, named = record["entity"], f"{where} {task}, user {record['entity']}"
                shown, train = list(record["shown_history"] or ()), split.train_history.get(record["entity"], [])
                stray = shown != train[len(train) - len(shown) :]
                self._say("history", f"{named}: not the latest training items" if stray else "")
                similar = list(record.get("shown_similar") or ())
                others = split.train_history.get(self._nearest.get(user, -1), [])
                strange = similar != others[::-1][: len(similar)]
                self._say("history", f"{named}: not what a similar user has in training" if strange else "")
                candidates, listed = list(record["shown_candidates"] or ()), lists.get(user, [])[:size]
                fits = set(candidates) <= set(listed) if len(candidates) < 2 else sorted(candidates) == sorted(listed)
                self._say("candidates", "" if fits else f"{named}: not what is listed first")

    def rearranged(self, where: str, before: Lists, after: Lists, size: int | None) -> None:
        """The first items are the same ones, those behind them stay where they are."""
        for user in sorted(before.keys() | after.keys()):
            one, other = before.get(user, []), after.get(user, [])
            kept = sorted(one[:size]) == sorted(other[:size]) and (size is None or one[size:] == other[size:])
            self._say("rearranged", "" if kept else f"{where}: the list of user {user} has other items")

    def checks(self) -> list[Check]:
        """All of them, under their names."""
        titles = {
            "listed": "re-ranking: lists hold no training item, and each item once",
            "history": "re-ranking: prompts show training history only",
            "candidates": "re-ranking: prompts offer what is listed first, and nothing else",
            "rearranged": "re-ranking: lists keep their items",
        }
        return [Check(title, self._rows[name], tuple(self._problems[name])) for name, title in titles.items()]

    def _say(self, what: str, problem: str) -> None:
        self._rows[what] += 1
        if problem:
            self._problems[what].append(problem)


def _nearest(path: Path) -> dict[int, int]:
    """The user who is most like each, by the model that saw all of training."""
    if not path.exists():
        return {}
    rows = read_parquet(path, remedy="run `augrec base CONFIG`").to_pylist()
    return {row["user"]: row["neighbour"] for row in rows if row["fold"] == -1 and row["rank"] == 0}


def _lists(path: Path) -> Lists:
    """Every user's items by rank."""
    lists: dict[int, list[tuple[int, int]]] = {}
    for row in _plain(path):
        lists.setdefault(row["user"], []).append((row["rank"], row["item"]))
    return {user: [item for _, item in sorted(ranked)] for user, ranked in lists.items()}


def _plain(path: Path) -> list[dict[str, Any]]:
    return list(read_parquet(path, columns=["user", "rank", "item"], remedy=AGAIN).to_pylist())
