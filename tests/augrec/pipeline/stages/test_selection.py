"""What a job's script says of its pieces, its command understands as these very pieces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augrec.artefacts.errors import UsageError
from augrec.pipeline.host.attempts import Attempts
from augrec.pipeline.stages.base import Piece
from augrec.pipeline.stages.selection import ByGroup, ByName, CommandOption, Selection

NOTES = Attempts(Path("nowhere"), None)
PIECES = [Piece("stage", group, number, f"{group} {number}", NOTES) for group in ("a", "b") for number in range(6)]
BY_GROUP = ByGroup(CommandOption("--group", "NAME", ""), "group", CommandOption("--numbers", "LIST", ""), "number")


def understood(selection: Selection, words: Sequence[str]) -> list[Piece]:
    keys = {option.name: option.key for option in selection.options}
    return selection.chosen(PIECES, {keys[name]: value for name, value in zip(words[::2], words[1::2], strict=True)})


@given(st.sampled_from(["a", "b"]), st.sets(st.integers(0, 5), min_size=1))
def test_pieces_of_a_group_there_and_back(group: str, numbers: set[int]) -> None:
    mine = [piece for piece in PIECES if piece.group == group and piece.number in numbers]
    assert understood(BY_GROUP, BY_GROUP.words(mine)) == mine


@given(st.lists(st.sampled_from(PIECES), min_size=1, unique_by=lambda piece: piece.name))
def test_pieces_by_name_there_and_back(mine: list[Piece]) -> None:
    selection = ByName("--only", "piece", "")
    assert understood(selection, selection.words(mine)) == mine


def test_numbers_are_said_in_short() -> None:
    assert BY_GROUP.words(PIECES[:3]) == ["--group", "a", "--numbers", "0-2"]
    assert BY_GROUP.chosen(PIECES, {"group": "b"}) == PIECES[6:], "all where no number is named"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"group": "c"}, r"no group 'c'(.|\n)*one of a, b"),
        ({"group": "a", "numbers": "4-8"}, r"a has no number 6-8(.|\n)*its numbers: 0-5"),
        ({"group": "a", "numbers": "x"}, "write e.g. 3-5,9"),
    ],
)
def test_what_is_not_there_is_named(values: dict[str, str | None], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        BY_GROUP.chosen(PIECES, values)
