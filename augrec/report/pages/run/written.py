"""What the sources wrote and whom the variants serve, as the page of a run shows it, with examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from augrec.artefacts.interactions import read_interactions
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.side_tables import read_side_table
from augrec.artefacts.tasks import About, Attributes, TaskCard
from augrec.report.measures.attribute_accuracy import AttributeAccuracy, attribute_accuracy
from augrec.report.pages.run.examples import item_examples, user_examples
from augrec.report.pages.run.facts import Facts
from augrec.report.pages.run.generated import Records, count_values, genre_shares, read_cards, read_records
from augrec.report.pages.run.groups import groups_table, kinds_of_users
from augrec.report.pages.run.plots import genre_figure
from augrec.report.pages.run.roles import Roles
from augrec.report.pages.run.single_users import single_users
from augrec.report.pages.run.tables import accuracy_table, genres_table, lengths_table, speed_table, troubles_table
from augrec.report.pages.run.throughput import read_throughput
from augrec.report.pages.run.tokens import read_spreads, spread_figures
from augrec.report.pages.run.troubles import failures, repairs, without_failures, without_users
from augrec.report.user_names import UserNames


class _ShownData:
    """The data set as tables and examples show it.

    Attributes:
        items, users: the side tables.
        train, test: int64 [m, 2] of (user, item).
        histories, held_out: the items of each user in train and in test.
        names: what users are called.
    """

    def __init__(self, run: RunFolder, *, hide_users: bool) -> None:
        self.items, self.users = read_side_table(run.items, "item"), read_side_table(run.users, "user")
        n_users, n_items = self.users.num_rows, self.items.num_rows
        interactions = read_interactions(run.interactions, n_users, n_items, splits=("train", "test"), times=True)
        self.train, self.test = interactions.of("train"), interactions.of("test")
        self.histories, self.held_out = (interactions.histories(split, n_users) for split in ("train", "test"))
        self.names = UserNames(self.users, self.histories, hide_users)


def written(run: RunFolder, facts: Facts, roles: Roles) -> dict[str, Any]:
    """Tables, figures and examples, by the names that the templates know them by.

    Args:
        run: the run folder.
        facts: what was run on what.
        roles: the trained variants. Which users and items are examples depends on the seed of its options alone.
    """
    options, sources = roles.options, [name for name, _, _ in facts.sources]
    data = _ShownData(run, hide_users=options.hide_users)
    records, cards = read_records(run.root, sources), read_cards(run, sources)
    genres, shares = genre_shares(records, data.histories, data.items, facts.dataset.get("genres") or [])
    spreads, speeds = read_spreads(run.root, facts.summaries), read_throughput(run.root, facts.llm_sources)
    return {
        **_served(data, roles),
        **_examples(records, cards, data, roles),
        "genre_figure": genre_figure(genres, shares) if genres else None,
        "genres": genres_table(genres, shares),
        "fields": count_values(records),
        "accuracy": accuracy_table(_accuracies(_about("item", records, cards), cards, data.items)),
        "unfailing": without_failures(records),
        "spreads": spread_figures(spreads),
        "lengths": lengths_table(spreads),
        "speeds": [(speed, speed_table(speed, n)) for n, speed in enumerate(speeds)],
    }


def _served(data: _ShownData, roles: Roles) -> dict[str, Any]:
    """Whom the variants serve: kinds of users, and a few by themselves."""
    options = roles.options
    baseline = roles.trained[options.baseline]
    judged = baseline.users[np.isfinite(baseline.per_user[options.primary])]
    groups = kinds_of_users(data.train, data.test, data.users.num_rows, data.items.num_rows, judged)
    return {
        "groups": groups_table(roles.trained, groups, options),
        "single_users": single_users(
            roles, data.histories, data.held_out, data.items, data.names, options.examples, options.seed
        ),
    }


def _examples(
    records: Records, cards: Mapping[tuple[str, str], TaskCard], data: _ShownData, roles: Roles
) -> dict[str, Any]:
    """Users and items with what was written about them, and answers that failed or were repaired."""
    n, rng = roles.options.examples, np.random.default_rng(roles.options.seed)
    about_users, about_items = (_about(about, records, cards) for about in ("user", "item"))
    users = user_examples(about_users, data.histories, data.items, data.users, n, rng, data.names)
    items = item_examples(about_items, data.items, n, rng)
    failed, repaired = failures(records, rng), repairs(records, rng)
    if data.names.hide:
        failed, repaired = (without_users(found, about_users, data.names) for found in (failed, repaired))
    return {
        "users": users,
        "items": items,
        "failures": failed,
        "failures_table": troubles_table("failures-table", "Failures by reason", "reason", failed),
        "repairs": repaired,
        "repairs_table": troubles_table("repairs-table", "Repairs by kind", "repair", repaired),
    }


def _about(about: About, records: Records, cards: Mapping[tuple[str, str], TaskCard]) -> Records:
    """The records of tasks about users, or of those about items."""
    return {key: rows for key, rows in records.items() if cards[key].about == about}


def _accuracies(
    records: Records, cards: Mapping[tuple[str, str], TaskCard], items: pa.Table
) -> Iterator[AttributeAccuracy]:
    """Of every source of attributes."""
    for (source, task), answered in records.items():
        if isinstance(cards[source, task].gives, Attributes):
            answers = {record.entity: record.fields for record in answered.values() if record.fields is not None}
            yield from attribute_accuracy(source, answers, items)
