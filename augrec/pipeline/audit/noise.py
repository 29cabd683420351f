"""The audit of false interactions that models were trained on, drawn again without the code that drew them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from augrec.artefacts.files import read_json, read_parquet
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.audit.checks import Check, Split

STREAM = 0xFA15E
DRAWN_AT_ONCE = 65_536


def audit_noise(folder: Path, split: Split) -> list[Check]:
    """No false interaction is a true one, and each was drawn without a look at what is held out.

    The draw is repeated from the seed and the training interactions alone; what is held out is taken from it
    afterwards. Trainings that have not finished are not looked at. Nothing is said where no model has any.
    """
    known = [set(split.key(pairs).tolist()) for pairs in split.pairs.values()]
    rows, true, other = 0, [], []
    for training in RunFolder(folder).trainings():
        said = read_json(training.metrics) if training.metrics.exists() else {}
        noise = said.get("noise")
        if noise is None and not (said and training.noise.exists()):
            continue
        name = training.root.relative_to(RunFolder(folder).train).as_posix()
        pairs = _pairs(training.noise)
        rows += len(pairs)
        if noise is None:
            other.append(f"{name}: there are false interactions, and metrics.json knows none")
            continue
        outside = (pairs < 0).any(1) | (pairs[:, 0] >= split.n_users) | (pairs[:, 1] >= split.n_items)
        keys = split.key(pairs).tolist()
        true += [f"{name}: user {user}, item {item} is nobody" for user, item in pairs[outside].tolist()]
        for part, there in zip(split.pairs, known, strict=True):
            found = [key for key in keys if key in there]
            true += [f"{name}: user {key // split.n_items}, item {key % split.n_items} is in {part}" for key in found]
        other += [f"{name}: {problem}" for problem in _wrong_draw(keys, noise, int(said["seed"]), split, known)]
    if not rows and not other:
        return []
    return [
        Check("false interactions are none of the data's", rows, tuple(true)),
        Check("false interactions were drawn without a look at what is held out", rows, tuple(other)),
    ]


def _wrong_draw(keys: list[int], noise: dict[str, Any], seed: int, split: Split, known: list[set[int]]) -> list[str]:
    """What is wrong with the false interactions of one training, as `noise` of its metrics.json describes them."""
    train, *held_out = known
    wanted = int(noise["share"] * len(train))
    drawn: dict[int, None] = {}  # keeps the order
    rng = np.random.default_rng([seed, STREAM])
    while len(drawn) < wanted:
        users = rng.integers(split.n_users, size=DRAWN_AT_ONCE).tolist()
        items = rng.integers(split.n_items, size=DRAWN_AT_ONCE).tolist()
        for user, item in zip(users, items, strict=True):
            key = user * split.n_items + item
            if key not in train and len(drawn) < wanted:
                drawn[key] = None
    expected = [key for key in drawn if not any(key in part for part in held_out)]
    problems = []
    if keys != expected:
        strays, lost = set(keys) - set(expected), set(expected) - set(keys)
        problems.append(f"{len(strays):,} that were not drawn, {len(lost):,} that were and are not there")
    if (noise["false"], noise["held_out"]) != (len(keys), wanted - len(expected)):
        problems.append(
            f"metrics.json counts {noise['false']} and {noise['held_out']} held out, not {len(keys)} and "
            f"{wanted - len(expected)}"
        )
    return problems


def _pairs(path: Path) -> np.ndarray:
    """int64 [k, 2]; none where there is no file."""
    if not path.exists():
        return np.zeros((0, 2), np.int64)
    table = read_parquet(path)
    return np.stack([table[name].to_numpy().astype(np.int64) for name in ("user", "item")], axis=1)
