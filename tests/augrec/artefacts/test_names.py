"""One rule for every name that becomes a file, whoever chose it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from augrec.artefacts.errors import DataError
from augrec.artefacts.names import LONGEST, Name, Named, Title, check_fields, colliding, name_problem

GOOD = ["a", "gpt-3.5", "lattice+llm", "temperature=0.8", "_x", "user_profile", "0", "x" * LONGEST, "console", "com10"]
BAD = [
    "", ".", "..", "../x", "a/b", "/etc/passwd", "a\\b", "C:x", ".hidden", "-rf", "+a", "=1+1", "a b", "a\n", "a\0b",
    "a,b", "a%j", "a$HOME", "a`b", "a;b", "a'b", 'a"b', "<b>", "a&b", "é", "\u202ea", "\x1b[2J", "x" * (LONGEST + 1),
    "con", "NUL", "aux.txt", "Com1", "lpt9", "a.", "stage.json", "X.JSONL", "a.npy", "a.tmp", "seed.lock", "~", "*",
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_plain_name_is_taken(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_what_is_a_path_a_device_or_ends_a_list_is_refused(name: str) -> None:
    problem = name_problem(name)
    assert problem is not None
    assert problem.isprintable(), "the message itself is safe to print"
    with pytest.raises(ValidationError):
        TypeAdapter(Name).validate_python(name)
    with pytest.raises(DataError, match=r"file\.pkl"):
        check_fields(["fine", name], "file.pkl", "attribute", remedy="rename it")


def test_a_letter_that_is_none_of_ours_is_shown_and_told_from_one_that_looks_alike() -> None:
    assert str(name_problem("café")).startswith("'café' cannot be a name: use letters a-z")
    assert str(name_problem("café")).endswith("; 'é' is U+00E9")
    assert "'а' is U+0430" in str(name_problem("llm-а"))
    assert str(name_problem("a\u202eb")).startswith("'a\\u202eb' cannot")
    assert " is U+" not in str(name_problem("a b"))


@given(st.text(max_size=120))
def test_a_name_taken_is_one_part_of_a_path_below_its_folder(name: str) -> None:
    if name_problem(name) is None:
        path = Path("/run") / f"{name}.npy"
        assert path.parent == Path("/run")
        assert path.name == f"{name}.npy"
        assert len(f".{name}.parquet.12345678.tmp".encode()) < 255


def test_names_that_are_one_file_elsewhere_are_refused() -> None:
    assert colliding(["a", "b"]) is None
    assert colliding(["Gpt", "b", "gpt"]) == ("Gpt", "gpt")
    with pytest.raises(ValidationError, match="differ in capitals alone"):
        TypeAdapter(Named[int]).validate_python({"Gpt": 1, "gpt": 2})
    with pytest.raises(DataError, match="'A' and 'a' differ in capitals alone"):
        check_fields(["A", "a"], "file.pkl", "attribute", remedy="rename it")
    with pytest.raises(DataError, match="'User_Profile' is taken"):
        check_fields(["User_Profile"], "file.pkl", "attribute", remedy="rename it", taken=["user_profile"])


@pytest.mark.parametrize("name", ["image.v2", "a=b"])
def test_a_field_is_also_a_layer_and_has_no_dot(name: str) -> None:
    assert name_problem(name) is None
    with pytest.raises(DataError, match="cannot be the name of a field"):
        check_fields([name], "file.pkl", "attribute", remedy="rename it")


def test_what_is_no_text_is_no_name() -> None:
    assert name_problem(3) == "a name is text, not int"


@pytest.mark.parametrize("title", ["MovieLens-100K (sample)", "Бібліотека", "本", "a" * 100])
def test_a_title_is_what_people_call_a_thing(title: str) -> None:
    assert TypeAdapter(Title).validate_python(title) == title


@pytest.mark.parametrize("title", ["", "  ", "../../escaped/x", "a\\b", "two\nlines", "bell\a", "a" * 101])
def test_a_title_is_no_path_and_one_line(title: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Title).validate_python(title)
