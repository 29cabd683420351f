"""Head, middle and tail of users and items against loops; single users are few, different, and rightly called."""

from __future__ import annotations

from statistics import mean

import numpy as np
import pyarrow as pa
import pytest

from augrec.artefacts.interactions import UserItems
from augrec.report.numbers.variants import Trained
from augrec.report.options import ReportOptions
from augrec.report.pages.run.explained import explain
from augrec.report.pages.run.groups import groups_table, kinds_of_users
from augrec.report.pages.run.roles import PlannedVariant, Roles
from augrec.report.pages.run.single_users import single_users
from augrec.report.user_names import UserNames

N_USERS, N_ITEMS = 90, 30
OPTIONS = ReportOptions(baseline="base", primary="recall@10", secondary=())


def variant(name: str, rng: np.random.Generator) -> Trained:
    values = rng.random(N_USERS)
    values[:5] = np.nan
    metrics = {seed: {"model": "lightgcn", "test": {"recall@10": float(np.nanmean(values))}} for seed in range(2)}
    return Trained(name, metrics, np.arange(N_USERS), {"recall@10": values})


@pytest.fixture
def world() -> tuple[np.ndarray, np.ndarray, dict[str, Trained]]:
    """Training pairs, test pairs, and two variants."""
    rng = np.random.default_rng(3)
    shares = np.arange(1, N_ITEMS + 1) / np.arange(1, N_ITEMS + 1).sum()
    train, test = [], []
    for user in range(N_USERS):
        mine = rng.choice(N_ITEMS, 3 + user % 9, replace=False, p=shares).tolist()
        train += [(user, item) for item in mine[:-2]]
        test += [(user, item) for item in mine[-2:]]
    return np.array(train), np.array(test), {name: variant(name, rng) for name in ("base", "llm")}


def test_every_judged_user_is_in_one_third_of_each_kind(world) -> None:  # type: ignore[no-untyped-def]
    train, test, trained = world
    judged = np.arange(5, N_USERS)
    groups = {group.name: group for group in kinds_of_users(train, test, N_USERS, N_ITEMS, judged)}
    assert list(groups) == ["head", "middle", "tail", "head-items", "middle-items", "tail-items"]
    for names in (list(groups)[:3], list(groups)[3:]):
        assert sorted(user for name in names for user in groups[name].users) == judged.tolist()
    times = [sum(1 for _, item in train if item == one) for one in range(N_ITEMS)]
    popularity = {user: mean(times[item] for owner, item in test if owner == user) for user in judged.tolist()}
    head, middle, tail = ([popularity[user] for user in groups[name].users] for name in list(groups)[3:])
    assert min(head) > max(middle) >= min(middle) > max(tail)
    table = groups_table(trained, list(groups.values()), OPTIONS)
    assert table is not None
    for row in table.rows:
        of = trained[row.cells[0].text]
        expected = [np.mean([of.per_user["recall@10"][user] for user in group.users]) for group in groups.values()]
        assert [cell.value for cell in row.cells[1:]] == pytest.approx(expected)
    best = [max(column) for column in zip(*([cell.value for cell in row.cells[1:]] for row in table.rows), strict=True)]
    marked = [[cell.value for row in table.rows if (cell := row.cells[n]).best] for n in range(1, 7)]
    assert marked == [[one] for one in best]


def test_users_that_are_all_alike_make_no_groups() -> None:
    pairs = np.array([(user, user % 3) for user in range(9)])
    assert kinds_of_users(pairs, pairs, 9, 3, np.arange(9)) == []
    assert groups_table({}, [], OPTIONS) is None


def test_single_users_are_few_and_different_and_extreme_where_they_say_so(world) -> None:  # type: ignore[no-untyped-def]
    train, test, trained = world
    plan = {"base": PlannedVariant("gcn"), "llm": PlannedVariant("gcn", "smollm2")}
    roles = Roles(trained, OPTIONS, plan, ["smollm2"])
    of_users = [UserItems.build(pairs[:, 0], pairs[:, 1], N_USERS) for pairs in (train, test)]
    items = pa.table({"title": [f"Film {n}" for n in range(N_ITEMS)], "source_id": [str(n) for n in range(N_ITEMS)]})
    users = pa.table({"source_id": [f"u{n}" for n in range(N_USERS)]})
    found = single_users(roles, *of_users, items, UserNames(users, of_users[0], False), 4, seed=1)
    assert len({one.name for one in found}) == len(found) == 12
    gains = trained["llm"].per_user["recall@10"] - trained["base"].per_user["recall@10"]
    order = np.argsort(-gains[5:]) + 5
    assert [one.name for one in found[:4]] == [f"User u{user}" for user in order[:4]]
    assert [one.name for one in found[4:8]] == [f"User u{user}" for user in order[::-1][:4]]
    first = int(found[0].name.removeprefix("User u"))
    assert found[0].held_out == tuple(f"Film {item}" for owner, item in test if owner == first)
    assert [name for name, _ in found[0].values] == ["llm", "base"]
    hidden = UserNames(users, of_users[0], True)
    assert single_users(roles, *of_users, items, hidden, 0, seed=1) == []
    behind = single_users(roles, *of_users, items, hidden, 4, seed=1)
    assert [one.values for one in behind] == [one.values for one in found]
    assert all(one.history == one.held_out == () and one.history_length for one in behind)
    assert not {one.name for one in behind} & {one.name for one in found}


@pytest.mark.parametrize(
    ("planned", "sentence"),
    [
        (PlannedVariant("gcn", draws=("a",)), "lightgcn learned from the training interactions alone."),
        (
            PlannedVariant("gcn", "smollm2", {"user_profile": "shuffled", "edges": "none"}),
            "lightgcn learned from the training interactions and from what the language model of the source smollm2 "
            "wrote; its user profiles belonging to somebody else and without its edges.",
        ),
        (
            PlannedVariant("gcn", "rules", draws=("a", "b")),
            "lightgcn learned from the training interactions and from what the source rules, which is no language "
            "model, wrote; asked 2 times.",
        ),
    ],
)
def test_every_row_is_explained_in_a_sentence(world, planned: PlannedVariant, sentence: str) -> None:  # type: ignore[no-untyped-def]
    trained = world[2]
    roles = Roles(trained, OPTIONS, {"base": PlannedVariant("gcn"), "llm": planned}, ["smollm2"])
    assert explain("llm", roles).sentence == sentence
    assert explain("base", roles).role == "the baseline, which every row is compared with"
