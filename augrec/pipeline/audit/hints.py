"""The audit of what prompts are hinted: that no model that made a hint had seen what it hints at."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from augrec.artefacts.files import read_json, read_parquet
from augrec.artefacts.matrices import read_matrix
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.audit.checks import Check, Split, broken
from augrec.pipeline.audit.interactions import audit_lists
from augrec.pipeline.audit.saved_config import saved_config

WHOLE = -1
CLOSE = 1e-4
"""Scores and cosines of float32 vectors that are as good as equal, as a share of the largest."""
USERS_COMPARED = 2000
"""Users whose lists and neighbours are computed again, evenly spread."""


def audit_base(folder: Path, split: Split) -> list[Check]:
    """What the base recommender says of users follows from its vectors, and folds hold out what they score."""
    run = RunFolder(folder)
    held = read_parquet(run.base.held_out, remedy="run `augrec base CONFIG`").to_pandas()
    near = read_parquet(run.base.neighbours, remedy="run `augrec base CONFIG`").to_pandas()
    checks = audit_lists(run.base.lists, split, "base lists", "run `augrec base CONFIG`")
    checks += [_held_out(held, split), _drawn(held, split), _trained_without(run, held, split)]
    checks.append(_neighbours(near, held, split))
    if run.base.users.exists():
        users, items = (
            read_matrix(path, remedy="run `augrec base CONFIG`").astype(np.float64)
            for path in (run.base.users, run.base.items)
        )
        checks.append(_best(read_parquet(run.base.lists).to_pandas(), users, items, split))
        if _own_vectors(run):
            checks.append(_nearest(near, users, split))
    return checks


def _held_out(held: pd.DataFrame, split: Split) -> Check:
    """What a fold holds out is a training interaction, and no other fold's."""
    own = held[~held["drawn"]]
    pairs = own[["user", "item"]].to_numpy(dtype=np.int64)
    wrong = ~np.isin(split.key(pairs), split.keys("train")) | own.duplicated(["user", "item"]).to_numpy()
    rows = broken(wrong, lambda row: f"fold {own['fold'].iloc[row]}: user {pairs[row, 0]}, item {pairs[row, 1]}")
    return Check("base: folds hold out training interactions, each once", len(own), rows)


def _drawn(held: pd.DataFrame, split: Split) -> Check:
    """What is drawn is no training interaction, and stands beside what the same fold holds out of the same user."""
    drawn = held[held["drawn"]]
    pairs = drawn[["user", "item"]].to_numpy(dtype=np.int64)
    asked = set(map(tuple, held.loc[~held["drawn"], ["user", "fold"]].to_numpy().tolist()))
    alone = np.array(
        [pair not in asked for pair in map(tuple, drawn[["user", "fold"]].to_numpy().tolist())], dtype=bool
    )
    wrong = np.isin(split.key(pairs), split.keys("train")) | alone
    rows = broken(wrong, lambda row: f"fold {drawn['fold'].iloc[row]}: user {pairs[row, 0]}, item {pairs[row, 1]}")
    return Check("base: drawn items have no training interaction", len(drawn), rows)


def _trained_without(run: RunFolder, held: pd.DataFrame, split: Split) -> Check:
    """Every model was trained on the training interactions without those that it scores, all of the others."""
    train = np.unique(split.pairs["train"], axis=0)
    problems = []
    folds = [WHOLE, *sorted(held["fold"].unique().tolist())]
    for fold in folds:
        name = "whole" if fold == WHOLE else f"fold-{fold}"
        hidden = held.loc[(held["fold"] == fold) & ~held["drawn"], ["user", "item"]].to_numpy(dtype=np.int64)
        seen = train[~np.isin(split.key(train), split.key(hidden))]
        path = run.base.trained_on(name)
        found = read_json(path) if path.exists() else {"interactions": "no"}
        packed = b"".join(int(number).to_bytes(4, "little") for number in seen.ravel().tolist())
        if found != {"interactions": len(seen), "sha256": hashlib.sha256(packed).hexdigest()}:
            problems.append(
                f"{name}: was trained on {found['interactions']} interactions, not on the {len(seen)} others"
            )
    return Check("base: models were trained without what they score", len(folds), tuple(problems))


def _neighbours(near: pd.DataFrame, held: pd.DataFrame, split: Split) -> Check:
    """Neighbours are other users of whom something is known, also without what the fold holds out."""
    hidden = held[~held["drawn"]].groupby("fold")["user"].value_counts().to_dict()
    problems = []
    for fold, user, neighbour in near[["fold", "user", "neighbour"]].to_numpy().tolist():
        known = len(split.train_history.get(neighbour, [])) - hidden.get((fold, neighbour), 0)
        if user == neighbour or known < 1:
            problems.append(f"fold {fold}: user {user} has the neighbour {neighbour}")
    return Check("base: neighbours are other users with training interactions", len(near), tuple(problems))


def _some_users(split: Split) -> list[int]:
    users = sorted(split.train_history)
    return users[:: max(1, -(-len(users) // USERS_COMPARED))]


def _best(lists: pd.DataFrame, users: np.ndarray, items: np.ndarray, split: Split) -> Check:
    """The items listed are those with the highest inner products, in order, and have these for their scores."""
    problems, listed = [], {user: rows.sort_values("rank") for user, rows in lists.groupby("user")}
    some = _some_users(split)
    for user in some:
        rows, scores = listed.get(user), items @ users[user]
        slack = CLOSE * max(1.0, float(np.abs(scores).max()))
        own = np.array([], dtype=np.int64) if rows is None else rows["item"].to_numpy(dtype=np.int64)
        rest = np.ones(len(items), dtype=bool)
        rest[[*split.train_history[user], *own.tolist()]] = False
        lowest = scores[own].min() if len(own) else -np.inf
        if rest.any() and (scores[rest] > lowest + slack).any():
            problems.append(
                f"user {user}: item {int(np.flatnonzero(rest)[scores[rest].argmax()])} is better, and is not listed"
            )
        elif len(own) and (np.abs(scores[own] - rows["score"].to_numpy()) > slack).any():  # type: ignore[index]
            problems.append(f"user {user}: scores are not the inner products of the vectors")
        elif (np.diff(scores[own]) > slack).any():
            problems.append(f"user {user}: the list is not in order")
    return Check("base: lists follow from the vectors", len(some), tuple(problems))


def _nearest(near: pd.DataFrame, users: np.ndarray, split: Split) -> Check:
    """The first neighbour of the model that saw everything is the user with the largest cosine, or one as near."""
    first = near[(near["fold"] == WHOLE) & (near["rank"] == 0)].set_index("user")
    known = np.array(sorted(split.train_history), dtype=np.int64)
    lengths = np.sqrt((users**2).sum(axis=1))
    problems, some = [], _some_users(split)
    for user in some:
        others = known[known != user]
        if not len(others):
            continue
        cosines = users[others] @ users[user] / np.maximum(lengths[others] * lengths[user], 1e-12)
        if user not in first.index:
            problems.append(f"user {user} has no neighbour")
            continue
        neighbour, said = int(first.loc[user, "neighbour"]), float(first.loc[user, "similarity"])
        own = cosines[others == neighbour]
        if not len(own) or own[0] < cosines.max() - CLOSE or abs(own[0] - said) > CLOSE:
            problems.append(f"user {user}: {neighbour} is not the nearest user, or not as near as is said")
    return Check("base: the nearest users follow from the vectors", len(some), tuple(problems))


def _own_vectors(run: RunFolder) -> bool:
    """Whether the base model's own vectors say who is similar."""
    base = saved_config(run.root).get("base") or {}
    return base.get("vectors") in (None, base.get("model"))


def audit_similar(folder: Path, name: str, records: list[dict[str, Any]], split: Split) -> list[Check]:
    """What prompts show of a similar user are the latest training items of the nearest one.

    Args:
        folder: of the run.
        name: of source and task.
        records: with the column `shown_similar`; nothing is said where none shows anything.
        split: the interactions.
    """
    showing = [record for record in records if record.get("shown_similar")]
    if not showing:
        return []
    path = RunFolder(folder).base.neighbours
    near = read_parquet(path, remedy="run `augrec base CONFIG`").to_pandas() if path.exists() else None
    nearest = {}
    if near is not None:
        rows = near[(near["fold"] == WHOLE) & (near["rank"] == 0)]
        nearest = dict(zip(rows["user"].tolist(), rows["neighbour"].tolist(), strict=True))
    problems = []
    for record in showing:
        shown = list(record["shown_similar"])
        latest = split.train_history.get(nearest.get(record["entity"], -1), [])[::-1]
        if shown != latest[: len(shown)]:
            stray = [item for item in shown if item not in latest]
            what = f"item {stray[0]} is not the nearest user's" if stray else "not the latest items, the latest first"
            problems.append(f"user {record['entity']}: {what} (key {record['key'][:12]})")
    return [Check(f"{name}: a similar user's items are of training", len(showing), tuple(problems))]
