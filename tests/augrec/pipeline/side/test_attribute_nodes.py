"""Values of attributes as nodes: what is one value, whose it is, and what a shuffled control does to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augrec.artefacts.matrices import write_field
from augrec.artefacts.tasks import About, Attributes, TaskCard, write_card
from augrec.pipeline.config.run_config import Variant
from augrec.pipeline.side.attribute_nodes import NodeTable, told_alike
from augrec.pipeline.side.side_information import side_files, side_information
from recsys.augmentation import AttributeNodes
from recsys.data.dataset import Dataset

SAID: list[dict[str, Any] | None] = [
    {"director": "Ann Lee", "tags": ["slow", "Sad"]},
    {"director": "ann  lee", "tags": ["sad", "unknown"]},
    None,
    {"director": "Unknown", "tags": []},
    {"director": "Bo", "tags": ["slow"]},
]
OWN = pa.table(
    {
        "item": pa.array(range(5), pa.int32()),
        "source_id": [str(item) for item in range(5)],
        "title": ["A", "B", "C", "D", "E"],
        "genres": [["War"], ["War", "Drama"], [], None, ["Drama"]],
    }
)


def dataset() -> Dataset:
    train = np.array([(user, item) for user in range(4) for item in range(5) if (user + item) % 2])
    none = np.empty((0, 2), dtype=np.int64)
    return Dataset.from_arrays(4, 5, train, none, none, items=OWN)


def written(folder: Path, task: str, about: About, said: list[dict[str, Any] | None]) -> Path:
    path = folder / "augment" / "llm" / task / "records.parquet"
    write_card(path.with_name("task.json"), TaskCard(name=task, about=about, gives=Attributes()))
    table = {
        "entity": pa.array(range(len(said)), pa.int32()),
        "status": ["failed" if fields is None else "ok" for fields in said],
        "fields": [None if fields is None else json.dumps(fields) for fields in said],
    }
    pq.write_table(pa.table(table), path)
    return path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Attributes of items, of which the directors were embedded, and reasons of users, which were not."""
    written(tmp_path, "item_attributes", "item", SAID)
    written(
        tmp_path, "reasons", "user", [{"reason": ["sad"]}, {"reason": ["cheap"]}, None, {"reason": ["sad", "near"]}]
    )
    values = np.array([[1.0, 0], [1, 0], [0, 0], [0, 0], [0, 1]], dtype=np.float32)
    about = {"task": "item_attributes", "rows": 5, "dim": 2, "missing": [2, 3]}
    write_field(tmp_path / "embed" / "llm" / "director", values, about)
    return tmp_path


def named(nodes: AttributeNodes | None, about: About) -> set[tuple[int, str]]:
    assert nodes is not None
    pairs = nodes.items if about == "item" else nodes.users
    return {(entity, ": ".join(nodes.names[node]).lower()) for entity, node in pairs.tolist()}


def nodes_of(run: Path, seed: int = 1, **change: Any) -> AttributeNodes | None:
    return side_information(run, Variant(model="m", source="llm", change=change), dataset(), seed).nodes


OWN_PAIRS = {(0, "genres: war"), (1, "genres: war"), (1, "genres: drama"), (4, "genres: drama")}
DIRECTORS = {(0, "director: ann lee"), (1, "director: ann lee"), (4, "director: bo")}
TAGS = {(0, "tags: slow"), (0, "tags: sad"), (1, "tags: sad"), (4, "tags: slow")}


def test_equal_values_of_one_attribute_are_one_node_and_what_says_nothing_is_none(run: Path) -> None:
    nodes = nodes_of(run)
    assert named(nodes, "item") == OWN_PAIRS | DIRECTORS | TAGS
    assert named(nodes, "user") == {(0, "reason: sad"), (1, "reason: cheap"), (3, "reason: sad"), (3, "reason: near")}


def test_without_a_source_there_are_the_datas_own_and_without_any_there_is_nothing(run: Path) -> None:
    side = side_information(run, Variant(model="m"), dataset(), 1)
    assert named(side.nodes, "item") == OWN_PAIRS
    assert NodeTable().nodes() is None
    assert named(nodes_of(run, item_attributes="none"), "item") == OWN_PAIRS


def test_a_shuffled_item_has_the_values_and_the_vectors_of_one_other(run: Path) -> None:
    for seed in range(4):
        variant = Variant(model="m", source="llm", change={"item_attributes": "shuffled"})
        side = side_information(run, variant, dataset(), seed)
        moved = named(side.nodes, "item") - OWN_PAIRS
        assert {value for _, value in moved} == {value for _, value in DIRECTORS | TAGS}
        assert {item for item, _ in moved} == {0, 1, 4}
        assert named(side.nodes, "user") == named(nodes_of(run), "user")
        for item, vector in zip((0, 1, 4), side.attributes["director"].dense()[[0, 1, 4]].tolist(), strict=True):
            (director,) = [value for owner, value in moved if owner == item and value.startswith("director")]
            assert vector == ([0, 1] if director == "director: bo" else [1, 0])
        assert (4, "director: bo") not in moved


def test_answers_that_were_not_embedded_change_owners_too(run: Path) -> None:
    users = named(nodes_of(run), "user")
    for seed in range(4):
        moved = named(nodes_of(run, seed, reasons="shuffled"), "user")
        assert moved != users
        assert {user for user, _ in moved} == {0, 1, 3}
        assert {value for _, value in moved} == {value for _, value in users}


def of_pairs(run: Path, said: list[list[str] | None], shown: list[list[int]]) -> None:
    fields = [None if reasons is None else {"why": reasons} for reasons in said]
    path = written(run, "pairs", "user", fields)
    write_card(path.with_name("task.json"), TaskCard(name="pairs", about="user", gives=Attributes(of_shown=True)))
    table = pq.read_table(path)
    pq.write_table(table.append_column("shown_history", pa.array(shown, pa.list_(pa.int32()))), path)


def test_reasons_join_the_user_and_each_the_item_it_is_about(run: Path) -> None:
    of_pairs(run, [["calm", "loud"], ["unknown", "calm"], None, ["odd"]], [[1, 3], [0, 2], [4], [1]])
    change = {"item_attributes": "none", "reasons": "none"}
    nodes = nodes_of(run, **change)
    assert named(nodes, "user") == {(0, "why: calm"), (0, "why: loud"), (1, "why: calm"), (3, "why: odd")}
    of_items = {(1, "why: calm"), (3, "why: loud"), (2, "why: calm"), (1, "why: odd")}
    assert named(nodes, "item") == OWN_PAIRS | of_items


def test_shuffled_reasons_are_anothers_about_the_users_own_items(run: Path) -> None:
    said = [["calm", "loud"], ["dark", "deep"], None, ["odd", "old"]]
    of_pairs(run, said, [[1, 3], [0, 2], [4], [4, 2]])
    for seed in range(4):
        nodes = nodes_of(run, seed, item_attributes="none", reasons="none", pairs="shuffled")
        for user, items in ((0, (1, 3)), (1, (0, 2)), (3, (4, 2))):
            mine = {value for owner, value in named(nodes, "user") if owner == user}
            (other,) = [reasons for reasons in said if reasons and mine == {f"why: {reason}" for reason in reasons}]
            assert other != said[user]
            assert {(item, f"why: {reason}") for item, reason in zip(items, other, strict=True)} <= named(nodes, "item")


def test_those_who_were_told_the_same_are_alike(run: Path) -> None:
    path = written(run, "twice", "user", [{"a": "x", "b": "y"}, {"b": "y", "a": "x"}, {"a": "z"}, None])
    alike = told_alike(path, 4)
    assert alike.index[0] == alike.index[1] != alike.index[2]
    assert alike.mask.tolist() == [True, True, True, False]


def test_the_records_belong_to_what_a_training_is(run: Path) -> None:
    names = {path.relative_to(run).as_posix() for path in side_files(run, Variant(model="m", source="llm"))}
    assert {"augment/llm/item_attributes/records.parquet", "augment/llm/reasons/records.parquet"} <= names
