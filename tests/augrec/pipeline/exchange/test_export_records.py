"""Records as tables: every field typed, every id beside the source's, and the same rows as the records have."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augrec.artefacts.errors import UsageError
from augrec.artefacts.records import RECORD_SCHEMA
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.tasks import Attributes, Edges, Gives, Ranking, TaskCard, write_card
from augrec.pipeline.exchange import export_records as module
from augrec.pipeline.exchange.export_records import export_records
from tests.kit.prepared_data import write_prepared


def write_records(run: Path, name: str, about: Any, gives: Gives, answers: dict[int, dict[str, Any] | None]) -> None:
    """Records of a source "llm", written without the store; None is a failed one."""
    task = RunFolder(run).source("llm").task(name)
    task.root.mkdir(parents=True)
    write_card(task.card, TaskCard(name=name, about=about, gives=gives))
    rows = [
        {
            "key": f"k{entity}",
            "task": name,
            "entity": entity,
            "question": "",
            "status": "failed" if fields is None else "ok",
            "reason": "timeout: late" if fields is None else None,
            "fields": None if fields is None else json.dumps(fields),
            "shown_history": [entity, 3],
        }
        for entity, fields in answers.items()
    ]
    pq.write_table(pa.Table.from_pylist(rows, RECORD_SCHEMA), task.records)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_prepared(tmp_path / "run")
    write_records(
        tmp_path / "run",
        "facts",
        "item",
        Attributes(),
        {
            0: {"stars": 4, "tags": ["a", "b"], "odd": 1, "deep": {"x": 1}, "none": None},
            2: None,
            5: {"stars": 4.5, "tags": [], "odd": "word", "deep": {}, "none": None, "late": True},
        },
    )
    pair = {"positive": 7, "negative": 1, "scores": [[7, 0.75], [1, 0.25]]}
    write_records(tmp_path / "run", "edges", "user", Edges(), {4: pair})
    write_records(tmp_path / "run", "ranking", "user", Ranking(), {1: {"order": [2, 0, 99]}, 3: None})
    return tmp_path / "run"


@pytest.mark.parametrize("rows", [1, 4096])
def test_each_field_is_a_column_of_its_type(
    run: Path, tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many records are in memory at a time."""
    monkeypatch.setattr(module, "ROWS", rows)
    written = export_records(run, tmp_path / "out", tasks=["facts"])
    (table,) = written["tables"]
    read = pq.read_table(tmp_path / "out" / table["file"])
    types = {field.name: str(field.type).replace("element: ", "item: ") for field in read.schema}
    assert types == table["columns"]
    fields = ("stars", "tags", "odd", "deep", "none", "late")
    assert [types[f"answer_{name}"] for name in fields] == [
        *("double", "list<item: string>", "string", "string", "string", "bool")
    ]
    expected = [
        {"stars": 4.0, "tags": ["a", "b"], "odd": "1", "deep": '{"x": 1}', "none": None, "late": None},
        dict.fromkeys(fields),
        {"stars": 4.5, "tags": [], "odd": '"word"', "deep": "{}", "none": None, "late": True},
    ]
    assert [{name: row[f"answer_{name}"] for name in expected[0]} for row in read.to_pylist()] == expected
    assert read["item"].to_pylist() == [0, 2, 5]
    assert read["item_source_id"].to_pylist() == ["s0", "s2", "s5"]
    assert read["title"].to_pylist() == ["Title 00", "Title 02", "Title 05"]
    assert read["status"].to_pylist() == ["ok", "failed", "ok"]
    assert read["reason"].to_pylist()[1] == "timeout: late"
    assert read["shown_history_source_ids"].to_pylist()[2] == ["s5", "s3"]


def test_items_of_an_answer_stand_beside_the_sources_ids(run: Path, tmp_path: Path) -> None:
    export_records(run, tmp_path / "out")
    (edge,) = pq.read_table(tmp_path / "out" / "llm" / "edges.parquet").to_pylist()
    assert edge["user_source_id"] == "u4"
    assert (edge["answer_positive_source_id"], edge["answer_negative_source_id"]) == ("s7", "s1")
    assert edge["answer_scores_source_ids"] == ["s7", "s1"]
    export_records(run, tmp_path / "out", tasks=["ranking"])
    assert [path.name for path in (tmp_path / "out").rglob("*.parquet")] == ["ranking.parquet"]
    first, failed = pq.read_table(tmp_path / "out" / "llm" / "ranking.parquet").to_pylist()
    assert first["answer_order_source_ids"] == ["s2", "s0", None]
    assert failed["answer_order_source_ids"] is None


def test_what_is_not_there_is_named_and_nothing_else_is_overwritten(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'ranking'"):
        export_records(run, tmp_path / "out", tasks=["rankings"])
    assert not (tmp_path / "out").exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").touch()
    with pytest.raises(UsageError, match="holds something else"):
        export_records(run, other)
    shutil.rmtree(RunFolder(run).augment)
    with pytest.raises(UsageError, match="no such records"):
        export_records(run, tmp_path / "out")
