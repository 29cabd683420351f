"""Records and items, read into one text per contiguous id."""

import json

import pyarrow as pa
import pytest

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import write_parquet
from embed.records import text_digest, texts_of_items, texts_of_source


def write_records(folder, task, records):
    """Records (entity, fields or None for a failed one) as the runner stores them."""
    table = pa.table(
        {
            "key": [f"{task}/{entity}" for entity, _ in records],
            "entity": pa.array([entity for entity, _ in records], pa.int32()),
            "status": ["failed" if fields is None else "ok" for _, fields in records],
            "fields": pa.array([None if fields is None else json.dumps(fields) for _, fields in records], pa.string()),
        }
    )
    write_parquet(folder / task / "records.parquet", table)


def write_items(path, **columns):
    n = len(next(iter(columns.values())))
    write_parquet(path, pa.table({"item": pa.array(range(n), pa.int32()), **columns}))


def test_rows_follow_ids_and_failed_records_are_missing(tmp_path):
    write_records(tmp_path, "user_profile", [(2, {"age": "30"}), (0, {"age": "20"}), (1, None)])
    write_records(tmp_path, "item_attributes", [(1, {"director": "A", "country": "unknown"}), (0, {"director": "B"})])
    texts = texts_of_source(tmp_path, n_users=4, n_items=3)
    assert texts == {
        "user_profile": ["Age: 20.", None, "Age: 30.", None],
        "country": [None, None, None],
        "director": ["B", "A", None],
    }
    assert list(texts) == ["user_profile", "country", "director"]


def test_a_source_without_texts_gives_none(tmp_path):
    write_records(tmp_path, "edges", [(0, {"positive": 1, "negative": 2})])
    assert texts_of_source(tmp_path, 1, 3) == {}


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([(5, {"age": "30"})], "record user_profile/5 names entity 5, the data set has 3"),
        ([(-1, {"age": "30"})], "entity -1"),
        ([(1, {"age": "30"}), (1, None)], "two records of entity 1"),
        ([(0, ["not", "an", "object"])], "user_profile/0 are not a JSON object"),
    ],
)
def test_records_that_do_not_fit_are_named(tmp_path, records, said):
    write_records(tmp_path, "user_profile", records)
    with pytest.raises(DataError, match=said) as error:
        texts_of_source(tmp_path, n_users=3, n_items=3)
    assert error.value.where == str(tmp_path / "user_profile" / "records.parquet")


def test_an_attribute_cannot_name_a_file_elsewhere(tmp_path):
    write_records(tmp_path, "item_attributes", [(0, {"../../director": "A"})])
    with pytest.raises(DataError, match="cannot be"):
        texts_of_source(tmp_path, 1, 1)


def test_items_give_one_text_and_one_per_column(tmp_path):
    write_items(
        tmp_path / "items.parquet",
        title=["Toy Story", "unknown", "Heat"],
        year=pa.array([1995, None, 1995], pa.int16()),
        genres=pa.array([["Animation", "Comedy"], [], None], pa.list_(pa.string())),
        imdb_url=["http://a", "http://b", "http://c"],
    )
    assert texts_of_items(tmp_path / "items.parquet") == {
        "text": ["Toy Story (1995). Genres: Animation, Comedy.", None, "Heat (1995)."],
        "title": ["Toy Story", None, "Heat"],
        "year": ["1995", None, "1995"],
        "genres": ["Animation, Comedy", None, None],
    }


def test_items_without_descriptions_give_no_texts(tmp_path):
    write_items(tmp_path / "items.parquet", source_id=["7", "9"])
    assert texts_of_items(tmp_path / "items.parquet") == {}


def test_items_out_of_order_are_refused(tmp_path):
    write_parquet(tmp_path / "items.parquet", pa.table({"item": [1, 0], "title": ["a", "b"]}))
    with pytest.raises(DataError, match="in order"):
        texts_of_items(tmp_path / "items.parquet")


def test_the_digest_tells_missing_from_empty_and_orders_apart():
    lists = [["a", None], ["a", ""], [None, "a"], ["a"], ["a", "None"]]
    assert len({text_digest(texts) for texts in lists}) == len(lists)
