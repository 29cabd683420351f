"""Cards of tasks, as they lie beside records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from augrec.artefacts.errors import DataError
from augrec.artefacts.tasks import Attributes, Edges, Insertions, Ranking, Rating, TaskCard, Text, read_card, write_card


@pytest.mark.parametrize(
    "gives", [Text(), Text(field="profile"), Attributes(), Edges(), Insertions(), Ranking(), Rating()]
)
def test_a_card_is_read_as_it_was_written(tmp_path: Path, gives: Text) -> None:
    card = TaskCard(name="user_profile", about="user", reads=("item_profile",), gives=gives)
    write_card(tmp_path / "task.json", card)
    assert read_card(tmp_path / "task.json") == card


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"about": "shop"}, "about"),
        ({"gives": {"kind": "poem"}}, "gives"),
        ({"gives": {}}, "gives"),
        ({"name": "../x"}, "name"),
        ({"extra": 1}, "extra"),
        ({"reads": "item_profile"}, "reads"),
    ],
)
def test_another_card_is_an_error_that_names_file_and_key(
    tmp_path: Path, change: dict[str, object], problem: str
) -> None:
    path = tmp_path / "task.json"
    good = {"name": "edges", "about": "user", "reads": [], "gives": {"kind": "edges"}}
    path.write_text(json.dumps(good | change), encoding="utf-8")
    with pytest.raises(DataError, match=f"no description of a task \\({problem}") as error:
        read_card(path)
    assert error.value.where == str(path)
    assert error.value.remedy == "run the stage `augment` again"


@pytest.mark.parametrize("text", ["", "[]", "null", "{"])
def test_what_is_no_card_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "task.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError):
        read_card(path)
