"""A few users by themselves: those that the claim serves much better, much worse, and some drawn at random.

A mean hides whom it is made of. Bounded by `report.examples` of each kind, whatever the size of the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from augrec.artefacts.interactions import UserItems
from augrec.artefacts.side_tables import titles_of
from augrec.report.numbers.variants import Trained
from augrec.report.pages.run.examples import HISTORY_SHOWN
from augrec.report.pages.run.roles import Roles
from augrec.report.render.wording import number, signed
from augrec.report.user_names import UserNames

ROWS_SHOWN = 12
"""Variants beside a user."""


@dataclass(frozen=True)
class SingleUser:
    """One user.

    Attributes:
        name: as the data calls it.
        why: why it is shown.
        difference: of the claim and the baseline, in words.
        history, history_length: the latest training items, and how many there are.
        held_out, held_out_length: test items, and how many there are.
        values: (variant, its value in words), the claim first.
    """

    name: str
    why: str
    difference: str
    history: tuple[str, ...]
    history_length: int
    held_out: tuple[str, ...]
    held_out_length: int
    values: tuple[tuple[str, str], ...]


def single_users(
    roles: Roles, train: UserItems, test: UserItems, items: pa.Table, names: UserNames, n: int, seed: int
) -> list[SingleUser]:
    """At most `n` users of each kind; none where nothing is claimed.

    Args:
        roles: the variants, and what they are here for.
        train, test: the items of every user, oldest first.
        items: their side table.
        names: what users are called.
        n: users of each kind.
        seed: of the random ones.
    """
    claim, metric = roles.claim(), roles.options.primary
    if claim is None or not n:
        return []
    baseline = roles.trained[roles.options.baseline]
    known, mine, theirs = np.intersect1d(claim.users, baseline.users, return_indices=True)
    gains = claim.per_user[metric][mine] - baseline.per_user[metric][theirs]
    known, gains = known[np.isfinite(gains)], gains[np.isfinite(gains)]
    titles = titles_of(items)
    first = [claim.name, baseline.name, *(control.name for control in roles.controls(claim))]
    shown = list(dict.fromkeys([*first, *roles.trained]))[:ROWS_SHOWN]
    found = []
    for user, gain, why in _chosen(known, gains, n, seed):
        history, held_out = train.of(user).tolist(), test.of(user).tolist()
        found.append(
            SingleUser(
                name=f"User {names.of(user)}",
                why=why,
                difference=signed(gain),
                history=names.shown([titles[item] for item in history[-HISTORY_SHOWN:]]),
                history_length=len(history),
                held_out=names.shown([titles[item] for item in held_out[:HISTORY_SHOWN]]),
                held_out_length=len(held_out),
                values=tuple((name, number(_value(roles.trained[name], user, metric))) for name in shown),
            )
        )
    return found


def _chosen(users: np.ndarray, gains: np.ndarray, n: int, seed: int) -> Iterator[tuple[int, float, str]]:
    """(user, gain, why) of those shown; nobody twice, and nobody as a gain who has none."""
    order = np.argsort(-gains, kind="stable")
    taken: set[int] = set()
    kinds: Sequence[tuple[str, np.ndarray]] = (
        ("among the highest above the baseline", order[gains[order] > 0][:n]),
        ("among the furthest below the baseline", order[::-1][gains[order[::-1]] < 0][:n]),
        ("drawn at random", np.random.default_rng(seed).permutation(len(users))),
    )
    for why, places in kinds:
        fresh = [place for place in places.tolist() if place not in taken][:n]
        taken.update(fresh)
        for place in fresh:
            yield int(users[place]), float(gains[place]), why


def _value(variant: Trained, user: int, metric: str) -> float | None:
    place = int(np.searchsorted(variant.users, user))
    there = place < len(variant.users) and variant.users[place] == user
    return float(variant.per_user[metric][place]) if there else None
