"""A data change re-asks what it changed and nothing else, and records are never taken for somebody else's."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augment.catalog import Catalog
from augment.messages import Request
from augment.options import GenerationOptions
from augment.runner import run_source
from augrec.artefacts.files import read_parquet
from tests.kit.fake_engine import FakeEngine, Killed, sociable

N_USERS, N_ITEMS = 12, 20
Ids = tuple[list[str], list[str]]
Change = Callable[[Ids], Ids]


def rewritten(run: Path, target: Path, change: Change, genres: Sequence[str] = ("Action", "Comedy")) -> Path:
    """The data set with other users and items, by their source ids; rows of those who are gone are left out.

    Ids are contiguous in the order of the lists. A new user has the history and candidates of u0, whose items are kept.
    """
    old = [read_parquet(run / "dataset" / f"{about}s.parquet")["source_id"].to_pylist() for about in ("user", "item")]
    users, items = change((list(old[0]), list(old[1])))
    (target / "dataset").mkdir(parents=True)
    (target / "candidates").mkdir()
    (target / "dataset" / "dataset.json").write_text((run / "dataset" / "dataset.json").read_text())
    by_id = {row["source_id"]: row for row in read_parquet(run / "dataset" / "items.parquet").to_pylist()}
    blank = by_id["s0"] | {"title": "New title", "genres": genres}
    rows = [by_id.get(name, blank) | {"item": number, "source_id": name} for number, name in enumerate(items)]
    schema = read_parquet(run / "dataset" / "items.parquet").schema
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), target / "dataset" / "items.parquet")
    pq.write_table(
        pa.table({"user": pa.array(range(len(users)), pa.int32()), "source_id": users}),
        target / "dataset" / "users.parquet",
    )
    for name in ("dataset/interactions.parquet", "candidates/candidates.parquet"):
        table = read_parquet(run / name)
        found: list[dict[str, Any]] = []
        for number, user in enumerate(users):
            theirs = user if user in old[0] else "u0"
            for row in table.to_pylist():
                item = old[1][row["item"]]
                if old[0][row["user"]] == theirs and item in items:
                    found.append(row | {"user": number, "item": items.index(item)})
        pq.write_table(pa.Table.from_pylist(found, schema=table.schema), target / name)
    return target


def load(run: Path) -> Catalog:
    return Catalog.load(run / "dataset", run / "candidates" / "candidates.parquet")


def answered(
    data: Path, out: Path, engine: Any, tasks: Sequence[str] | None = None, **overrides: Any
) -> tuple[dict[str, Any], Any]:
    """The summary and the engine of a source over some data."""
    source: dict[str, Any] = {"engine": {"kind": "heuristic"}, **({"tasks": tasks} if tasks else {})}
    source |= {name: overrides.pop(name) for name in ("titles", "users") if name in overrides}
    generation = GenerationOptions.model_validate({"sources": {"s": source}, "shards": 3, **overrides})
    summary = run_source(
        load(data), "s", generation.sources["s"], generation,
        folder=out, seed=3, engine=engine,
    )  # fmt: skip
    return summary, engine


def by_source_id(out: Path, task: str, catalog: Catalog) -> dict[str, dict[str, Any]]:
    """The merged table with source ids in every place of an id."""
    about = "item" if task == "item_attributes" else "user"
    items = catalog.source_ids("item")
    found = {}
    for row in read_parquet(out / task / "records.parquet").to_pylist():
        for name in ("shown_history", "shown_candidates"):
            row[name] = [items[item] for item in row[name]]
        if task == "edges":
            fields = json.loads(row["fields"])
            row["fields"] = {name: items[fields[name]] for name in ("positive", "negative")}
        found[catalog.source_ids(about)[row.pop("entity")]] = row  # type: ignore[arg-type]
    return found


def asked(engine: Any, catalog: Catalog) -> set[tuple[str, str]]:
    about = {"edges": "user", "user_profile": "user", "item_attributes": "item"}
    return {
        (one.task, catalog.source_ids(about[one.task])[one.draft.entity])  # type: ignore[arg-type]
        for one in engine.asked
    }


def one_more_in_front(ids: Ids) -> Ids:
    return ["new", *ids[0]], ["s-new", *ids[1]]


@pytest.mark.parametrize("titles", ["as-is", "anonymous"])
def test_one_user_and_one_item_more_ask_about_these_two_alone(dataset: Path, tmp_path: Path, titles: str) -> None:
    more = rewritten(dataset, tmp_path / "more", one_more_in_front)
    out = tmp_path / "out"
    answered(dataset, out, FakeEngine(), titles=titles)
    before = {task: by_source_id(out, task, load(dataset)) for task in ("edges", "user_profile", "item_attributes")}
    summary, engine = answered(more, out, FakeEngine(), titles=titles)
    assert asked(engine, load(more)) == {("edges", "new"), ("user_profile", "new"), ("item_attributes", "s-new")}
    for task, rows in before.items():
        after = by_source_id(out, task, load(more))
        assert {name: after[name] for name in rows} == rows, "what was answered stays with whom it was answered for"
        assert len(after) == len(rows) + 1
        assert summary["tasks"][task]["stale"] == 0


def test_who_is_gone_is_stale_and_found_again_when_the_data_come_back(dataset: Path, tmp_path: Path) -> None:
    fewer = rewritten(dataset, tmp_path / "fewer", lambda ids: (ids[0][2:], [n for n in ids[1] if n != "s19"]))
    out = tmp_path / "out"
    answered(dataset, out, FakeEngine())
    before = {task: (out / task / "records.parquet").read_bytes() for task in ("edges", "user_profile")}
    summary, engine = answered(fewer, out, FakeEngine())
    assert summary["tasks"]["item_attributes"]["stale"] == 1
    kept = by_source_id(out, "user_profile", load(fewer))
    assert sorted(kept) == sorted(f"u{n}" for n in range(2, 12))
    assert ("user_profile", "u4") not in asked(engine, load(fewer)), "s19 is not in their history"
    assert not {name for _, name in asked(engine, load(fewer))} & {f"s{n}" for n in range(20)}
    again = answered(dataset, out, FakeEngine())[1]
    assert again.starts == 0
    assert {task: (out / task / "records.parquet").read_bytes() for task in before} == before


def test_other_candidates_of_one_user_ask_for_their_edges_alone(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    answered(dataset, out, FakeEngine())
    path = dataset / "candidates" / "candidates.parquet"
    rows = read_parquet(path).to_pylist()
    for row in rows:
        if row["user"] == 5 and row["rank"] == 0:
            row["item"] = 18
    pq.write_table(pa.Table.from_pylist(rows, schema=read_parquet(path).schema), path)
    _, engine = answered(dataset, out, FakeEngine())
    assert asked(engine, load(dataset)) == {("edges", "u5")}


def test_items_with_the_same_title_are_not_taken_for_each_other(dataset: Path, tmp_path: Path) -> None:
    """The prompts of u1 are the same, word for word, when s8 and s9 change places and read alike."""
    out = tmp_path / "out"
    path = dataset / "dataset" / "items.parquet"
    rows = read_parquet(path).to_pylist()
    rows[9] = rows[8] | {"item": 9, "source_id": "s9"}
    pq.write_table(pa.Table.from_pylist(rows, schema=read_parquet(path).schema), path)
    answered(dataset, out, FakeEngine(), tasks=["edges"])
    table = read_parquet(dataset / "dataset" / "interactions.parquet")
    swapped = [row | {"item": 9 if row["item"] == 8 else 8 if row["item"] == 9 else row["item"]}
               for row in table.to_pylist()]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(swapped, schema=table.schema), dataset / "dataset" / "interactions.parquet")
    _, engine = answered(dataset, out, FakeEngine(), tasks=["edges"])
    shown = load(dataset)
    for row in read_parquet(out / "edges" / "records.parquet").to_pylist():
        assert row["shown_history"] == shown.train_items(row["entity"]).tolist()
    assert ("edges", "u4") in asked(engine, shown), "the history of u4 ends with s8, or s9 now"


def test_drawn_users_stay_when_others_come_and_go(dataset: Path, tmp_path: Path, exact: Any) -> None:
    more = rewritten(dataset, tmp_path / "more", one_more_in_front)
    out = tmp_path / "out"
    answered(dataset, out, FakeEngine(), tasks=["user_profile"], users=6)
    before = set(by_source_id(out, "user_profile", load(dataset)))
    _, engine = answered(more, out, FakeEngine(), tasks=["user_profile"], users=6)
    after = set(by_source_id(out, "user_profile", load(more)))
    assert after - before <= {"new"}
    assert asked(engine, load(more)) == {("user_profile", name) for name in after - before}


@pytest.fixture
def exact() -> Callable[..., Any]:
    """exact(lives) is an engine whose answers depend on their company."""
    return lambda lives=None: FakeEngine(sociable, exact=True, block=8, lives=lives)


def test_an_exact_engine_asks_the_changed_ones_and_not_their_blocks(dataset: Path, tmp_path: Path, exact: Any) -> None:
    more = rewritten(dataset, tmp_path / "more", one_more_in_front)
    out = tmp_path / "out"
    answered(dataset, out, exact())
    summary, engine = answered(more, out, exact())
    assert asked(engine, load(more)) == {("edges", "new"), ("user_profile", "new"), ("item_attributes", "s-new")}
    assert summary["recomputed"] == 0


def test_what_an_exact_engine_began_is_begun_again_as_it_was(dataset: Path, tmp_path: Path, exact: Any) -> None:
    """Killed while it asks what a change made necessary: the rest is answered in the same company as without a kill."""
    more = rewritten(dataset, tmp_path / "more", lambda ids: ([*[f"new{n}" for n in range(9)], *ids[0]], ids[1]))
    for out in ("whole", "cut"):
        answered(dataset, tmp_path / out, exact())
    answered(more, tmp_path / "whole", exact())
    engines: list[Any] = []
    for lives in (2, 5, 9, 7, 14, None):
        engines.append(exact(lives))
        try:
            summary = answered(more, tmp_path / "cut", engines[-1])[0]
        except Killed:
            continue
    assert len(engines) == 6
    tables = [
        {path.parent.name: path.read_bytes() for path in (tmp_path / out).glob("*/records.parquet")}
        for out in ("whole", "cut")
    ]
    assert tables[0] == tables[1]
    assert summary["recomputed"] == summary["recomputed_alike"]
    old = {name for engine in engines for task, name in asked(engine, load(more)) if not name.startswith("new")}
    assert old == set(), "nobody who was answered before the change is asked again"


def test_a_rules_answer_that_would_be_another_is_made_again(dataset: Path, tmp_path: Path) -> None:
    """A rule reads more than its prompt says: how often a genre occurs decides what somebody dislikes."""
    from augment.engines.heuristic import HeuristicEngine

    more = rewritten(dataset, tmp_path / "more", lambda ids: (ids[0], [*ids[1], *map(str, range(30))]), ["War"])
    answered(dataset, tmp_path / "out", HeuristicEngine(), tasks=["user_profile"], max_history=1)
    before = read_parquet(tmp_path / "out" / "user_profile" / "records.parquet")
    answered(more, tmp_path / "out", HeuristicEngine(), tasks=["user_profile"], max_history=1)
    answered(more, tmp_path / "fresh", HeuristicEngine(), tasks=["user_profile"], max_history=1)
    tables = [read_parquet(tmp_path / out / "user_profile" / "records.parquet") for out in ("out", "fresh")]
    assert tables[0].equals(tables[1])
    assert not tables[0]["fields"].equals(before["fields"])


def test_requests_name_the_order_of_candidates_by_source_ids(dataset: Path, tmp_path: Path) -> None:
    """Shifted ids leave prompts letter by letter as they were."""
    more = rewritten(dataset, tmp_path / "more", one_more_in_front)
    prompts: list[dict[tuple[str, str], Request]] = []
    for data in (dataset, more):
        engine = answered(data, tmp_path / data.name / "out", FakeEngine())[1]
        catalog = load(data)
        about = {"edges": "user", "user_profile": "user", "item_attributes": "item"}
        prompts.append({
            (one.task, catalog.source_ids(about[one.task])[one.draft.entity]): one  # type: ignore[arg-type]
            for one in engine.asked
        })  # fmt: skip
    for name, request in prompts[0].items():
        assert prompts[1][name].draft.messages == request.draft.messages
        assert (prompts[1][name].key, prompts[1][name].seed) == (request.key, request.seed)
