"""Instructions, token sequences and loss curves come back as they were, and a line that is wrong is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augrec.artefacts.errors import DataError
from augrec.artefacts.instructions import Instruction, read_instructions, write_instructions
from augrec.artefacts.loss_curve import LossPoint, read_losses, write_losses
from augrec.artefacts.token_sequences import TokenSequence, read_sequences, write_sequences

ONE = Instruction(
    "toy/ranking/u1/0", "ranking", "toy", "u1", (("system", "Rank."), ("user", "1. Heat\n2. Babe")), '{"order":[2,1]}',
    "lightgcn", ("i1", "i2"), ("i2",),
)  # fmt: skip

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1)


@given(TEXTS, TEXTS)
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, prompt: str, completion: str) -> None:
    path = tmp_path_factory.mktemp("texts") / "instructions.jsonl"
    wanted = [replace(ONE, prompt=(("user", prompt),), completion=completion), replace(ONE, id="other", hint_source="")]
    assert write_instructions(path, wanted) == 2
    assert list(read_instructions(path)) == wanted
    assert len(path.read_bytes().splitlines()) == 2


def plain(**changes: Any) -> str:
    prompt = [{"role": "user", "content": "Which?"}]
    fields = {"id": "a", "task": "pick", "dataset": "toy", "user": "u", "prompt": prompt, "completion": "1"}
    return json.dumps({key: value for key, value in (fields | changes).items() if value is not None})


def test_what_need_not_be_said_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "others.jsonl"
    path.write_text(plain() + "\n")
    assert list(read_instructions(path)) == [Instruction("a", "pick", "toy", "u", (("user", "Which?"),), "1")]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", r"not JSON(.|\n)*line 2"),
        ("[]", "not a JSON object"),
        (plain(id="b", completion=""), "`completion` must be a text"),
        (plain(id="b", user=7), "`user` must be a text"),
        (plain(id="b", prompt=[]), "`prompt` must be a list of messages"),
        (plain(id="b", prompt=[{"role": "assistant", "content": "1"}]), r"`role` \(system or user\)"),
        (plain(id="b", prompt=[{"role": "system", "content": "Rank."}]), "the last message"),
        (plain(id="b", items="i1"), "`items` must be a list of texts"),
        (plain(), r"'a' is that of line 1 too(.|\n)*line 2"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    path = tmp_path / "instructions.jsonl"
    path.write_text(f"{plain()}\n{line}\n")
    with pytest.raises(DataError, match=complaint):
        list(read_instructions(path))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such file(.|\n)*nothing.jsonl"):
        list(read_instructions(tmp_path / "nothing.jsonl"))


def test_sequences_come_back(tmp_path: Path) -> None:
    wanted = [TokenSequence("a", (5, 6, 7), 2), TokenSequence("b", (1, 49151), 1)]
    write_sequences(tmp_path / "tokens.parquet", wanted)
    assert list(read_sequences(tmp_path / "tokens.parquet")) == wanted


@pytest.mark.parametrize("answer", [0, 3])
def test_a_sequence_without_an_answer_is_named(tmp_path: Path, answer: int) -> None:
    write_sequences(tmp_path / "tokens.parquet", [TokenSequence("a", (5, 6, 7), answer)])
    with pytest.raises(DataError, match=r"no prompt or no answer(.|\n)*, a"):
        list(read_sequences(tmp_path / "tokens.parquet"))


def test_a_curve_comes_back(tmp_path: Path) -> None:
    points = [LossPoint(1, 0.5, 2.5, 0.0, 100, 1.5), LossPoint(2, 1.0, 1.25, 1e-4, 200, 3.0)]
    write_losses(tmp_path / "loss.jsonl", points)
    assert read_losses(tmp_path / "loss.jsonl") == points
    assert read_losses(tmp_path / "nothing.jsonl") == []


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"step": 2}',
        '{"step": 1, "epoch": 1, "loss": 1, "learning_rate": 0, "tokens": 1, "seconds": 1}',
        '{"step": 2, "epoch": 1, "loss": NaN, "learning_rate": 0, "tokens": 1, "seconds": 1}',
    ],
)
def test_a_wrong_point_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "loss.jsonl"
    write_losses(path, [LossPoint(1, 0.5, 2.5, 0.0, 100, 1.5)])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError, match="line 2"):
        read_losses(path)
