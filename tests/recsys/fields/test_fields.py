"""Which value of which field users and items have, against what their tables say in words."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from augrec.artefacts.errors import DataError
from recsys.augmentation import AttributeNodes, SideInformation
from recsys.data.dataset import Dataset
from recsys.fields.columns import columns_of
from recsys.fields.fields import FieldValues, entity_fields
from recsys.fields.options import FieldOptions
from tests.kit.rated_data import directors, rated_data

EVERYTHING = FieldOptions()


def fields_of(
    data: Dataset, options: FieldOptions = EVERYTHING, side: SideInformation | None = None
) -> dict[str, FieldValues]:
    found = entity_fields(data, side or SideInformation(), options, "deepfm")
    return {field.name: field for field in (*found.users, *found.items)}


def told(field: FieldValues) -> list[list[str]]:
    """The values of every entity, in words."""
    return [
        [field.values[place] for place in field.places[begin:end]]
        for begin, end in zip(field.start, field.start[1:], strict=False)
    ]


def with_items(data: Dataset, **columns: pa.Array) -> Dataset:
    plain = data.items.select(["item", "source_id"])
    for name, values in columns.items():
        plain = plain.append_column(name, values)
    return dataclasses.replace(data, items=plain)


def test_every_column_that_groups_share_is_a_field_and_says_what_the_table_says() -> None:
    data = rated_data()
    fields = fields_of(data)
    assert list(fields) == ["user", "user.age", "user.gender", "item", "item.genres"]
    assert told(fields["user.gender"]) == [[value or "unknown"] for value in data.users["gender"].to_pylist()]
    assert told(fields["user.age"]) == [[str(value)] for value in data.users["age"].to_pylist()]
    genres = [sorted(value) for value in data.items["genres"].to_pylist()]
    assert [sorted(values) for values in told(fields["item.genres"])] == [value or ["unknown"] for value in genres]
    assert [field.single for field in fields.values()] == [name != "item.genres" for name in fields]
    assert told(fields["user"])[:-1] == [[str(user)] for user in range(29)]
    assert told(fields["user"])[-1] == told(fields["item"])[-1] == ["unknown"], "nobody knows them in training"


def test_titles_are_everybodys_own_and_no_field_unless_they_are_named() -> None:
    data = rated_data()
    assert "item.title" not in fields_of(data)
    with pytest.raises(DataError, match="no value of the field 'title' is shared by 2 items") as caught:
        fields_of(data, FieldOptions(items=("title",)))
    assert "fields.least" in str(caught.value.remedy)
    titles = fields_of(data, FieldOptions(items=("title",), least=1))["item.title"]
    assert len(titles.values) == 20  # the 19 items of training, and the unknown


def test_what_was_written_is_a_field_and_a_director_of_one_film_is_unknown() -> None:
    data, side = rated_data(), directors()
    field = fields_of(data, side=side)["item.director"]
    assert set(field.values) == {"unknown", *(f"Director {name}" for name in "ABCD")}
    words = told(field)
    assert words[5] == ["Director B"]
    assert words[4] == words[6] == words[19] == ["unknown"]
    assert words[3] == ["Director A", "Director D"]
    assert not field.single


def test_an_attribute_that_is_called_like_a_column_holds_the_values_of_both() -> None:
    nodes = AttributeNodes(
        (("genres", "Action"), ("genres", "Heist")),
        np.array([(item, node) for item in range(10) for node in (0, 1)]),
        np.zeros((0, 2), dtype=np.int64),
    )
    field = fields_of(rated_data(), side=SideInformation(nodes=nodes))["item.genres"]
    assert told(field)[3] == ["Action", "Heist"]


def test_attributes_of_users_are_fields_of_users() -> None:
    nodes = AttributeNodes(
        (("mood", "glad"), ("mood", "sad")), np.zeros((0, 2), dtype=np.int64), np.array([(u, u % 2) for u in range(30)])
    )
    words = told(fields_of(rated_data(), side=SideInformation(nodes=nodes))["user.mood"])
    assert words == [[("glad", "sad")[user % 2]] for user in range(30)]


def test_the_vocabulary_is_made_of_training_entities_alone() -> None:
    data = rated_data()
    colour = ["red"] * 9 + ["blue", "blue"] + ["green"] + ["red"] * 7 + ["green"]  # item 19 is in no interaction
    fields = fields_of(with_items(data, colour=pa.array(colour)))
    assert fields["item.colour"].values == ("unknown", "red", "blue")
    assert told(fields["item.colour"])[11] == told(fields["item.colour"])[19] == ["unknown"]


@pytest.mark.parametrize("least", [1, 2, 3, 4])
def test_counts_of_a_slow_loop_decide_who_is_known(least: int) -> None:
    data = rated_data(n_users=60)
    rng = np.random.default_rng(least)
    lists = [list(rng.choice(list("abcdefgh"), rng.integers(0, 5))) for _ in range(20)]
    field = fields_of(
        with_items(data, letters=pa.array(lists, pa.list_(pa.string()))), FieldOptions(items=("letters",), least=least)
    )["item.letters"]
    trained = set(data.train[:, 1].tolist())
    having = {
        letter: {item for item, letters in enumerate(lists) if item in trained and letter in letters}
        for letter in "abcdefgh"
    }
    known = {letter for letter, items in having.items() if len(items) >= least}
    assert set(field.values[1:]) == known
    for item, words in enumerate(told(field)):
        assert set(words) == (set(lists[item]) & known or {"unknown"})


def test_numbers_with_many_values_are_cut_into_equally_full_ranges() -> None:
    data = rated_data(n_users=200)
    ages = np.random.default_rng(1).gamma(3, 12, 200).astype(np.float32)
    table = data.users.set_column(data.users.column_names.index("age"), "age", pa.array(ages))
    field = fields_of(dataclasses.replace(data, users=table), FieldOptions(users=("age",), buckets=5))["user.age"]
    place = field.places
    assert len(field.values) == 6
    trained = np.unique(data.train[:, 0])
    assert np.bincount(place[trained]).tolist()[1:] == pytest.approx([199 / 5] * 5, abs=1)
    for low, high in zip(range(1, 5), range(2, 6), strict=True):  # ranges are in order and do not overlap
        assert ages[place == low].max() <= ages[place == high].min()


def test_a_number_outside_the_range_of_training_belongs_to_the_outer_range() -> None:
    data = rated_data(n_users=200)
    ages = np.arange(200, dtype=np.float32)
    ages[199] = -5  # the user without interactions
    table = data.users.set_column(data.users.column_names.index("age"), "age", pa.array(ages))
    words = told(fields_of(dataclasses.replace(data, users=table), FieldOptions(buckets=4))["user.age"])
    assert words[199] == words[0]
    assert words[0][0].startswith("below ")


def test_vectors_and_ids_are_no_columns_and_blanks_no_values() -> None:
    table = pa.table(
        {
            "item": pa.array([0, 1], pa.int32()),
            "source_id": ["a", "b"],
            "vector": pa.array([[0.1], [0.2]], pa.list_(pa.float32())),
            "seen": [True, None],
            "text": ["  ", " x "],
        }
    )
    found = {column.name: column for column in columns_of(table)}
    assert list(found) == ["seen", "text"]
    assert (found["text"].owners.tolist(), found["text"].values) == ([1], ("x",))
    assert (found["seen"].owners.tolist(), found["seen"].values) == ([0], ("yes",))


def test_a_field_that_is_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(DataError, match="reads the field 'gendre', which no item has") as caught:
        fields_of(rated_data(), FieldOptions(items=("gendre",)))
    assert "genres" in f"{caught.value.remedy}"
    assert "title, genres, year" in str(caught.value)


def test_without_any_field_there_is_nothing_to_read() -> None:
    with pytest.raises(DataError, match="no field to read"):
        fields_of(rated_data(), FieldOptions(ids=False, users=(), items=()))
