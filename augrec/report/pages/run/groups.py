"""The primary metric by kind of user and by kind of item: whom a variant serves, and with what.

Users are thirds by their training interactions. Items are thirds by how often they occur in training; as a metric is of
a user, and not of an item, users stand in the third of what was held out of them, by the mean over those items. With
one held-out item each (leave-last-out) that is the metric of the items themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from augrec.report.measures.downstream import THIRDS, Group, groups_of
from augrec.report.numbers.variants import Trained
from augrec.report.options import ReportOptions
from augrec.report.pages.run.tables import best_of
from augrec.report.render.tables import Row, Table, measure, numbers, table, word, words
from augrec.report.render.wording import count


def kinds_of_users(train: np.ndarray, test: np.ndarray, n_users: int, n_items: int, judged: np.ndarray) -> list[Group]:
    """Thirds of the judged users by their activity, and by how popular their held-out items are.

    Args:
        train, test: int [m, 2] of (user, item).
        n_users, n_items: counts of contiguous ids.
        judged: sorted ids of the users with a value.
    """
    active = groups_of(judged, np.bincount(train[:, 0], minlength=n_users), None)[1:]
    popularity = np.bincount(train[:, 1], minlength=n_items).astype(float)
    held_out = np.bincount(test[:, 0], minlength=n_users)
    means = np.bincount(test[:, 0], popularity[test[:, 1]], minlength=n_users) / np.maximum(held_out, 1)
    by_items = _by_popularity(judged[held_out[judged] > 0], means)
    return [group for kind in (active, by_items) if len(kind) > 1 for group in kind]


def _by_popularity(users: np.ndarray, means: np.ndarray) -> list[Group]:
    """Thirds by a mean; users with the same one stay together, so that the thirds are not exactly of one size."""
    if not len(users):
        return []
    low, high = (float(np.quantile(means[users], share, method="lower")) for share in (1 / 3, 2 / 3))
    place = (means[users] > low).astype(int) + (means[users] > high)
    ends = (f"at most {low:.1f}", f"above {low:.1f}, at most {high:.1f}", f"above {high:.1f}")
    groups = []
    for third in (2, 1, 0):
        chosen = users[place == third]
        rule = f"held-out items with {ends[third]} training interactions each, on average"
        if len(chosen):
            groups.append(Group(f"{THIRDS[third]}-items", f"{THIRDS[third]} items", rule, chosen))
    return groups


def groups_table(trained: dict[str, Trained], groups: Sequence[Group], options: ReportOptions) -> Table | None:
    """The mean of the primary metric of every variant in every group; nothing is tested."""
    if len(groups) < 2:
        return None
    metric = options.primary
    means = {name: [_mean(variant, group.users, metric) for group in groups] for name, variant in trained.items()}
    best = [best_of([of[n] for of in means.values()], metric) for n in range(len(groups))]
    rows = [
        Row(
            (word(name), *(measure(mean, best=mean == best[n]) for n, mean in enumerate(of))),
            baseline=name == options.baseline,
        )
        for name, of in means.items()
    ]
    columns = (*words("variant"), *numbers(*(f"{group.title}|{count(len(group.users))} users" for group in groups)))
    rules = "; ".join(f"{group.title}, {group.rule}" for group in groups)
    caption = f"{metric} by kind of user, and of the items that are held out. Means alone; nothing here is tested"
    return table("groups-table", caption, columns, rows, [f"{rules}."])


def _mean(variant: Trained, users: np.ndarray, metric: str) -> float | None:
    values = variant.per_user[metric][np.isin(variant.users, users)]
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None
