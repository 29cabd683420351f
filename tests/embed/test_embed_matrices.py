"""One matrix per field: deduplicated, masked, atomic, skipped when it is there already."""

import json

import numpy as np
import pyarrow as pa
import pytest

import augrec.artefacts.matrices
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import sha256_file, write_parquet
from augrec.artefacts.matrices import read_field
from augrec.artefacts.tasks import Attributes, TaskCard, Text, write_card
from embed.matrices import embed_field
from embed.records import text_digest, texts_of_items, texts_of_source
from embed.stage import embed_items, embed_source

TEXTS = ["bb", None, "a", "bb", None, "ccc", "a"]


def test_distinct_strings_are_encoded_once_and_scattered(tmp_path, counting):
    encoder = counting()
    about = embed_field(encoder, TEXTS, tmp_path / "llm" / "director", source_sha256="s")
    values, read = read_field(tmp_path / "llm" / "director")
    assert sorted(encoder.asked) == ["a", "bb", "ccc"]
    assert about == read
    assert (about["rows"], about["distinct"], about["missing"], about["dim"]) == (7, 3, [1, 4], 4)
    assert (about["field"], about["group"], about["source_sha256"]) == ("director", "llm", "s")
    assert values.dtype == np.float32
    expected = counting().encode([text or "-" for text in TEXTS])
    expected[[1, 4]] = 0
    np.testing.assert_array_equal(values, expected)


def test_a_field_without_any_text_is_all_zero(tmp_path, counting):
    about = embed_field(counting(), [None, None], tmp_path / "country", source_sha256="s")
    assert about["missing"] == [0, 1]
    assert read_field(tmp_path / "country")[0].tolist() == [[0] * 4] * 2


def test_finished_fields_are_not_encoded_again(tmp_path, counting):
    stem = tmp_path / "director"
    first = embed_field(counting(), TEXTS, stem, source_sha256="s")
    again = counting()
    assert embed_field(again, TEXTS, stem, source_sha256="s") == first
    assert again.asked == []


@pytest.mark.parametrize(
    ("settings", "texts", "source"),
    [
        ({"model_sha256": "1"}, TEXTS, "s"),
        ({"prompt": "query: "}, TEXTS, "s"),
        ({}, [*TEXTS[:-1], "b"], "s"),
        ({}, TEXTS, "other"),
    ],
)
def test_anything_that_changes_the_vectors_encodes_again(tmp_path, counting, settings, texts, source):
    embed_field(counting(), TEXTS, tmp_path / "director", source_sha256="s")
    again = counting(**settings)
    embed_field(again, texts, tmp_path / "director", source_sha256=source)
    assert len(again.asked) == len({text for text in texts if text})


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"short")])
def test_a_lost_or_broken_matrix_is_made_again(tmp_path, counting, damage):
    stem = tmp_path / "director"
    embed_field(counting(), TEXTS, stem, source_sha256="s")
    damage(tmp_path / "director.npy")
    embed_field(counting(), TEXTS, stem, source_sha256="s")
    assert read_field(stem)[0].shape == (7, 4)


def test_a_crash_between_the_two_files_cannot_pass_for_finished(tmp_path, counting, monkeypatch):
    stem = tmp_path / "director"
    embed_field(counting(), TEXTS, stem, source_sha256="s")

    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(augrec.artefacts.matrices, "write_json", crash)
        with pytest.raises(KeyboardInterrupt):
            embed_field(counting(model="other"), ["other"] * 7, stem, source_sha256="s")
    again = counting()
    embed_field(again, TEXTS, stem, source_sha256="s")
    assert again.asked


def test_a_matrix_that_does_not_fit_its_json_is_named(tmp_path, counting):
    embed_field(counting(), TEXTS, tmp_path / "director", source_sha256="s")
    np.save(tmp_path / "director.npy", np.zeros((6, 4), dtype=np.float32))
    with pytest.raises(DataError, match=r"float32 \(6, 4\), its JSON says float32 \(7, 4\)"):
        read_field(tmp_path / "director")


def test_a_field_that_was_never_embedded_names_the_stage(tmp_path):
    with pytest.raises(DataError) as error:
        read_field(tmp_path / "director")
    assert "embed" in error.value.remedy


def write_run(root):
    records = {"key": ["a", "b"], "entity": [0, 1], "status": ["ok", "failed"]}
    for task, fields in (("user_profile", {"age": "20"}), ("item_attributes", {"director": "X", "language": "French"})):
        gives = Text() if task == "user_profile" else Attributes()
        card = TaskCard(name=task, about=task.partition("_")[0], gives=gives)
        write_card(root / "augment" / "llm" / task / "task.json", card)
        table = pa.table(records | {"fields": pa.array([json.dumps(fields), None], pa.string())})
        write_parquet(root / "augment" / "llm" / task / "records.parquet", table)
    write_parquet(root / "items.parquet", pa.table({"item": [0, 1], "title": ["Heat", "Babe"], "year": [1995, 1995]}))


def test_a_source_gives_a_profile_and_one_matrix_per_attribute(tmp_path, counting):
    write_run(tmp_path)
    records = tmp_path / "augment" / "llm"
    tasks = ("user_profile", "item_attributes")
    about = embed_source(counting(), records, 2, 2, tmp_path / "embed" / "llm", tasks)
    assert list(about) == ["user_profile", "director", "language"]
    assert sorted(path.name for path in (tmp_path / "embed" / "llm").glob("*.npy")) == [
        "director.npy",
        "language.npy",
        "user_profile.npy",
    ]
    for field, told in texts_of_source(records, 2, 2, tasks).items():
        assert about[field]["text_sha256"] == text_digest(told.texts)
        assert about[field]["task"] == told.task
        assert about[field]["missing"] == [1]
    assert about["director"]["source_sha256"] == sha256_file(records / "item_attributes" / "records.parquet")


def test_items_give_the_groups_own_matrices(tmp_path, counting):
    write_run(tmp_path)
    about = embed_items(counting(), tmp_path / "items.parquet", tmp_path / "embed" / "data")
    assert list(about) == ["text", "title", "year"]
    assert about["year"]["distinct"] == 1
    assert {entry["group"] for entry in about.values()} == {"data"}
    texts = texts_of_items(tmp_path / "items.parquet")
    assert all(about[field]["text_sha256"] == text_digest(texts[field]) for field in texts)


def test_other_columns_make_other_text_of_the_items(tmp_path, counting):
    write_run(tmp_path)
    stem = tmp_path / "embed" / "data"
    about = embed_items(counting(), tmp_path / "items.parquet", stem, ["title"])
    assert about["text"]["columns"] == ["title"]
    assert list(about) == ["text", "title"]
    again = counting()
    assert embed_items(again, tmp_path / "items.parquet", stem, ["title"]) == about
    assert again.asked == []
