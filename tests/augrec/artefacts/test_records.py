"""The one reader of records, against the rows as they were written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augrec.artefacts.errors import DataError
from augrec.artefacts.records import RECORD_SCHEMA, ROWS_AT_A_TIME, read_records


def row(entity: int, fields: object = None, **others: Any) -> dict[str, Any]:
    answered = fields is not None
    return {
        "key": f"k{entity}",
        "task": "edges",
        "entity": entity,
        "question": "",
        "status": "ok" if answered else "failed",
        "reason": None if answered else "no_json",
        "fields": json.dumps(fields) if answered else None,
        "text": "",
        "finish_reason": "stop",
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "cached_tokens": 1,
        "attempt": 1,
        "repairs": [],
        "shown_history": [],
        "shown_candidates": [],
        "dropped_history": 0,
        "fallback": None if answered else "masked",
        **others,
    }


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows, schema=RECORD_SCHEMA), path)
    return path


LISTS = st.one_of(st.none(), st.lists(st.integers(0, 99), max_size=4))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.booleans(), LISTS, LISTS, st.lists(st.text(max_size=3), max_size=2)), max_size=9))
def test_every_record_is_what_was_written(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    table = [
        row(n, {"x": n} if ok else None, shown_history=shown, shown_candidates=listed, repairs=mended)
        for n, (ok, shown, listed, mended) in enumerate(rows)
    ]
    records = read_records(written(tmp_path_factory.mktemp("r") / "records.parquet", table))
    assert len(records) == len(table)
    for place, (record, wrote) in enumerate(zip(records, table, strict=True)):
        assert record.row == place
        assert record == records[place]
        assert record.fields == (None if wrote["fields"] is None else json.loads(wrote["fields"]))
        for name in ("shown_history", "shown_candidates", "repairs"):
            assert getattr(record, name) == tuple(wrote[name] or ())
        for name in ("key", "entity", "status", "reason", "prompt_tokens", "finish_reason", "fallback"):
            assert getattr(record, name) == wrote[name]
    assert [record.entity for record in records.answered()] == [w["entity"] for w in table if w["status"] == "ok"]
    assert records.ok.tolist() == [wrote["status"] == "ok" for wrote in table]


def test_rows_beyond_the_first_batch_keep_their_place(tmp_path: Path) -> None:
    n = 2 * ROWS_AT_A_TIME + 7
    entities = np.arange(n)
    table = pa.table({"entity": entities, "status": ["ok"] * n, "fields": [f'{{"x": {n}}}' for n in range(n)]})
    pq.write_table(table, tmp_path / "r.parquet", row_group_size=1000)
    records = read_records(tmp_path / "r.parquet", entities=n)
    assert [(r.row, r.entity, r.fields) for r in records] == [(i, i, {"x": i}) for i in range(n)]
    last = records.of(n - 1)
    assert last is not None
    assert last.row == n - 1
    assert last.fields == {"x": n - 1}
    assert records.of(n) is None


def test_fields_are_decoded_when_they_are_asked_for(tmp_path: Path) -> None:
    rows = [row(0, {"x": 1}), row(1, {"x": 2}) | {"fields": '{"x": '}]
    records = read_records(written(tmp_path / "records.parquet", rows))
    assert records[0].fields == {"x": 1}
    assert records.column("fields")[1] == '{"x": '
    with pytest.raises(DataError, match="not a JSON object") as error:
        records.fields(1)
    assert error.value.where == f"{tmp_path / 'records.parquet'}, row 1"
    assert error.value.remedy
    assert "augment" in error.value.remedy


@pytest.mark.parametrize(
    "text", [None, "", "[1]", "3", "null", '{"a": 1} x', '{"a": ' + "[" * 2000, '{"a":' * 80 + "1" + "}" * 80]
)
def test_what_is_no_json_object_names_its_row(tmp_path: Path, text: str | None) -> None:
    rows = [row(0, {}), row(1, {}) | {"fields": text}]
    with pytest.raises(DataError, match="not a JSON object") as error:
        list(read_records(written(tmp_path / "records.parquet", rows)))
    assert error.value.where == f"{tmp_path / 'records.parquet'}, row 1"


def test_a_failed_record_is_not_decoded(tmp_path: Path) -> None:
    rows = [row(0) | {"fields": "no json"}]
    assert next(iter(read_records(written(tmp_path / "records.parquet", rows)))).fields is None


def test_a_table_of_others_needs_three_columns(tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    pq.write_table(
        pa.table({"entity": pa.array([4, 2], pa.int64()), "status": ["ok", "failed"], "fields": ["{}", None]}), path
    )
    first, second = read_records(path)
    assert (first.entity, first.fields, first.text, first.repairs, first.attempt) == (4, {}, "", (), 1)
    assert (second.entity, second.ok, second.reason) == (2, False, None)
    assert (first.prompt_tokens, first.completion_tokens, first.cached_tokens, first.dropped_history) == (0, 0, 0, 0)
    assert (first.key, first.task, first.question, first.finish_reason, first.fallback) == ("", "", "", "none", None)
    assert (first.shown_history, first.shown_candidates) == ((), ())
    pq.write_table(pa.table({"entity": [1], "text": ["x"]}), path)
    with pytest.raises(DataError, match="have no column status, fields"):
        read_records(path, remedy="ask its author")


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "records.parquet", [row(0, {"x": 1}, text="long", shown_history=[1, 2])])
    records = read_records(path, columns=["shown_history"])
    assert set(records.table.column_names) == {"entity", "question", "status", "fields", "shown_history"}
    assert records[0].shown_history == (1, 2)
    assert records[0].text == ""


@pytest.mark.parametrize("entity", [-1, 3, 2**31 - 1])
def test_an_entity_out_of_range_is_an_error(tmp_path: Path, entity: int) -> None:
    path = written(tmp_path / "records.parquet", [row(0, {}), row(entity, {})])
    with pytest.raises(DataError, match=f"names entity {entity}, the data set has 3") as error:
        read_records(path, entities=3)
    assert error.value.where == f"{path}, row 1"
    assert "another data set" in (error.value.remedy or "")


def test_negative_and_absent_entities_are_errors_whatever_the_data_set(tmp_path: Path) -> None:
    path = written(tmp_path / "records.parquet", [row(-1, {})])
    with pytest.raises(DataError, match="entity -1"):
        read_records(path)
    with pytest.raises(DataError, match="a record names no entity"):
        read_records(written(path, [row(0, {}), row(1, {}) | {"entity": None}]))


def test_several_questions_of_one_entity_are_legal_and_one_twice_is_not(tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    rows = [row(0, {"x": 1}, question="a"), row(0, {"x": 2}, question="b"), row(1, {"x": 3})]
    records = read_records(written(path, rows))
    assert [[record.fields for record in group] for group in records.by_entity().values()] == [
        [{"x": 1}, {"x": 2}],
        [{"x": 3}],
    ]
    asked = records.of(0, "b")
    assert asked is not None
    assert asked.fields == {"x": 2}
    assert records.of(0) is None
    with pytest.raises(DataError, match="two records of entity 0 answer the question 'b'") as error:
        read_records(written(path, [*rows, row(0, {}, question="b"), row(0, {}, question="a")]))
    assert error.value.where == f"{path}, row 3"
    with pytest.raises(DataError, match=r"two records of entity 1\n"):
        read_records(written(path, [*rows, row(1, {})]))


def test_columns_of_another_type_are_converted_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    fitting = {"entity": pa.array([0], pa.int64()), "status": pa.array(["ok"]).dictionary_encode(), "fields": ["{}"]}
    pq.write_table(pa.table(fitting), path)
    assert next(iter(read_records(path))).entity == 0
    for name, values in (("entity", ["a"]), ("entity", [2**40]), ("status", [[1]]), ("fields", [{"a": 1}])):
        pq.write_table(pa.table(fitting | {name: values}), path)
        with pytest.raises(DataError, match=f"the column {name} is "):
            read_records(path)


def test_text_that_is_no_utf_8_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    broken = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff\xfe"], pa.binary()).buffers())
    pq.write_table(pa.table({"entity": [0], "status": ["ok"], "fields": ["{}"], "text": broken}), path)
    with pytest.raises(DataError, match="not readable Parquet"):
        list(read_records(path))


@pytest.mark.parametrize("content", [None, b"", b"PAR1", b"x" * 100])
def test_a_missing_or_damaged_file_is_an_error_with_a_remedy(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "records.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_records(path, remedy="do this")
    assert (error.value.where, error.value.remedy) == (str(path), "do this")
