"""Records and items, read into one text per contiguous id."""

import json

import pyarrow as pa
import pytest

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import write_parquet
from augrec.artefacts.tasks import Attributes, Edges, TaskCard, Text, write_card
from embed.records import FieldTexts, text_digest, texts_of_items, texts_of_source

CARDS = {
    "user_profile": TaskCard(name="user_profile", about="user", gives=Text()),
    "item_attributes": TaskCard(name="item_attributes", about="item", gives=Attributes()),
    "edges": TaskCard(name="edges", about="user", gives=Edges()),
}


def write_records(folder, task, records):
    """Records (entity, fields or None for a failed one) as the runner stores them, and the task's card."""
    card = CARDS.get(task) or TaskCard(name=task, about="item", gives=Text(field="told"))
    write_card(folder / task / "task.json", card)
    table = pa.table(
        {
            "key": [f"{task}/{entity}" for entity, *_ in records],
            "entity": pa.array([entity for entity, *_ in records], pa.int32()),
            "question": ["".join(question) for _, _, *question in records],
            "status": ["failed" if fields is None else "ok" for _, fields, *_ in records],
            "fields": pa.array(
                [None if fields is None else json.dumps(fields) for _, fields, *_ in records], pa.string()
            ),
        }
    )
    write_parquet(folder / task / "records.parquet", table)


def write_items(path, **columns):
    n = len(next(iter(columns.values())))
    write_parquet(path, pa.table({"item": pa.array(range(n), pa.int32()), **columns}))


def test_rows_follow_ids_and_failed_records_are_missing(tmp_path):
    write_records(tmp_path, "user_profile", [(2, {"age": "30"}), (0, {"age": "20"}), (1, None)])
    write_records(tmp_path, "item_attributes", [(1, {"director": "A", "country": "unknown"}), (0, {"director": "B"})])
    texts = texts_of_source(tmp_path, n_users=4, n_items=3, tasks=("user_profile", "item_attributes", "edges"))
    assert texts == {
        "user_profile": FieldTexts("user_profile", "user", ["Age: 20.", None, "Age: 30.", None]),
        "country": FieldTexts("item_attributes", "item", [None, None, None]),
        "director": FieldTexts("item_attributes", "item", ["B", "A", None]),
    }
    assert list(texts) == ["user_profile", "country", "director"]


def test_a_source_without_texts_gives_none(tmp_path):
    write_records(tmp_path, "edges", [(0, {"positive": 1, "negative": 2})])
    assert texts_of_source(tmp_path, 1, 3, ["edges"]) == {}


def test_a_text_about_items_is_known_by_its_card(tmp_path):
    told = {"told": "A quiet film", "reasoning": "It is slow."}
    write_records(tmp_path, "item_mood", [(2, told), (0, {"told": "unknown"})])
    texts = texts_of_source(tmp_path, n_users=9, n_items=3, tasks=["item_mood"])
    assert texts == {"item_mood": FieldTexts("item_mood", "item", [None, None, "A quiet film"])}


def test_the_answers_to_several_questions_are_one_text(tmp_path):
    several = [(1, {"told": "Slow."}, "a"), (0, {"told": "Loud."}, "b"), (1, {"told": "Sad."}, "b"), (1, None, "c")]
    write_records(tmp_path, "item_mood", several)
    assert texts_of_source(tmp_path, 1, 2, ["item_mood"])["item_mood"].texts == ["Loud.", "Slow. Sad."]
    write_records(tmp_path, "item_attributes", [(0, {"director": "A"}, "a"), (0, {"director": "B"}, "b")])
    assert texts_of_source(tmp_path, 1, 2, ["item_attributes"])["director"].texts == ["A, B", None]


def test_an_attribute_called_like_a_text_is_refused(tmp_path):
    write_records(tmp_path, "item_attributes", [(0, {"item_mood": "A"})])
    write_records(tmp_path, "item_mood", [(0, {"told": "A"})])
    with pytest.raises(DataError, match="'item_mood' is taken"):
        texts_of_source(tmp_path, 1, 1, ["item_attributes", "item_mood"])


def test_records_that_nothing_describes_are_refused(tmp_path):
    write_records(tmp_path, "user_profile", [(0, {"age": "30"})])
    (tmp_path / "user_profile" / "task.json").unlink()
    with pytest.raises(DataError) as error:
        texts_of_source(tmp_path, 1, 1, ["user_profile"])
    assert error.value.where == str(tmp_path / "user_profile" / "task.json")


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([(5, {"age": "30"})], "a record names entity 5, the data set has 3"),
        ([(-1, {"age": "30"})], "names entity -1"),
        ([(1, {"age": "30"}), (1, None)], "two records of entity 1"),
        ([(0, ["not", "an", "object"])], "not a JSON object"),
    ],
)
def test_records_that_do_not_fit_are_named(tmp_path, records, said):
    write_records(tmp_path, "user_profile", records)
    with pytest.raises(DataError, match=said) as error:
        texts_of_source(tmp_path, n_users=3, n_items=3, tasks=["user_profile"])
    assert error.value.where.startswith(str(tmp_path / "user_profile" / "records.parquet"))


def test_an_attribute_cannot_name_a_file_elsewhere(tmp_path):
    write_records(tmp_path, "item_attributes", [(0, {"../../director": "A"})])
    with pytest.raises(DataError, match="cannot be"):
        texts_of_source(tmp_path, 1, 1, ["item_attributes"])


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


def test_named_columns_make_the_text_and_prose_is_no_attribute(tmp_path):
    write_items(tmp_path / "items.parquet", title=["Heat", None], profile=["A heist.", "Waves."], url=["a", "b"])
    found = texts_of_items(tmp_path / "items.parquet", ["title", "profile"])
    assert found == {"text": ["Heat. A heist.", "Waves."], "title": ["Heat", None]}
    assert texts_of_items(tmp_path / "items.parquet", ["profile"]) == {"text": ["A heist.", "Waves."]}
    assert texts_of_items(tmp_path / "items.parquet") == {"text": ["Heat.", None], "title": ["Heat", None]}
    with pytest.raises(DataError, match="no column 'plot'") as error:
        texts_of_items(tmp_path / "items.parquet", ["plot"])
    assert "profile" in error.value.remedy


def test_items_out_of_order_are_refused(tmp_path):
    write_parquet(tmp_path / "items.parquet", pa.table({"item": [1, 0], "title": ["a", "b"]}))
    with pytest.raises(DataError, match="not contiguous from 0"):
        texts_of_items(tmp_path / "items.parquet")


def test_the_digest_tells_missing_from_empty_and_orders_apart():
    lists = [["a", None], ["a", ""], [None, "a"], ["a"], ["a", "None"]]
    assert len({text_digest(texts) for texts in lists}) == len(lists)
