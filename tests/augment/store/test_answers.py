"""Answers that prompts quote: read from every shard, of the present questions alone, and decoded when asked for."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from augment.hashes import shard_of
from augment.messages import MASKED, Record
from augment.source_ids import SourceIds
from augment.store.answers import Answers
from augment.store.lines import answer_mark
from augment.store.request_index import key_digest
from augment.store.store import Store
from augrec.artefacts.errors import DataError
from augrec.artefacts.source_folder import SourceFolder
from augrec.artefacts.tasks import Edges, TaskCard, Text

TEXT = TaskCard(name="mood", about="item", gives=Text(field="told"))
PAIRS = TaskCard(name="pairs", about="user", gives=Edges())
IDS = SourceIds([f"u{number}" for number in range(9)], [f"i{number}" for number in range(9)])
SHARDS = 3


def record(card: TaskCard, entity: int, fields: dict[str, object] | None, question: str = "", key: str = "") -> Record:
    ok = fields is not None
    return Record(
        key or f"{entity}/{question}", card.name, entity, "ok" if ok else "failed", None if ok else "refused: no",
        json.dumps(fields) if ok else None, "text", "stop", 1, 1, 0, 1, fallback=None if ok else MASKED,
        question=question,
    )  # fmt: skip


def stored(folder: Path, card: TaskCard, records: list[Record], ids: SourceIds = IDS) -> Answers:
    with Store(folder, {card.name: card}, SHARDS, ids=IDS) as store:
        for found in records:
            store.append(found)
    size = 9 if ids is IDS else 8
    return Answers(folder, card, SHARDS, ids, size, lambda digest: digest != key_digest("left over"))


def test_every_entity_has_its_answers_in_the_order_of_the_questions(tmp_path: Path) -> None:
    written = [record(TEXT, entity, {"told": f"{entity}{name}"}, name) for entity in range(8) for name in ("b", "a")]
    answers = stored(
        tmp_path, TEXT, [*written, record(TEXT, 8, None), record(TEXT, 3, {"told": "old"}, "", "left over")]
    )
    for entity in range(8):
        assert [(found.question, found.fields) for found in answers.of(entity)] == [
            (name, {"told": f"{entity}{name}"}) for name in ("a", "b")
        ]
    assert answers.of(8) == ()
    assert answers.fields(8) is None
    assert answers.fields(0) == {"told": "0a"}
    assert answers.summary() == {"answered": 8, "absent": 1}
    assert answers.records == 17, "failed ones are records too"


def test_items_in_answers_are_those_of_the_present_data(tmp_path: Path) -> None:
    written = [record(PAIRS, user, {"positive": user, "negative": 8 - user}) for user in (2, 3)]
    fewer = SourceIds([f"u{number}" for number in range(9) if number != 2], [f"i{number}" for number in range(1, 9)])
    answers = stored(tmp_path, PAIRS, written, fewer)
    assert answers.of(2) == answers.of(2)
    assert answers.fields(2) == {"positive": 2, "negative": 4}, "user u3, items i3 and i5"
    assert answers.answered == 1


def test_the_identity_follows_from_what_can_be_quoted(tmp_path: Path) -> None:
    one, two = record(TEXT, 0, {"told": "x"}), record(TEXT, 1, {"told": "y"})
    forth = stored(tmp_path / "a", TEXT, [one, two])
    assert forth.identity == stored(tmp_path / "b", TEXT, [two, one]).identity
    assert forth.identity == stored(tmp_path / "c", TEXT, [one, two, record(TEXT, 2, None)]).identity
    assert forth.identity != stored(tmp_path / "d", TEXT, [one]).identity
    assert forth.identity != stored(tmp_path / "e", TEXT, [one, record(TEXT, 1, {"told": "y"}, "", "other")]).identity


def test_the_identity_is_a_hash_over_keys_and_answers_in_order(tmp_path: Path) -> None:
    """What was asked with quoted answers is asked again when this changes."""
    written = [record(TEXT, entity, {"told": "x"}) for entity in (4, 0, 7)]
    marks = [key_digest(one.key) + answer_mark(one.status, one.text).to_bytes(8, "big") for one in written]
    expected = hashlib.sha256(b"".join(sorted(marks))).hexdigest()
    assert stored(tmp_path, TEXT, written).identity == expected


def test_a_record_that_is_gone_is_an_error(tmp_path: Path) -> None:
    answers = stored(tmp_path, TEXT, [record(TEXT, 0, {"told": "x"})])
    path = SourceFolder(tmp_path).task("mood").shard(shard_of("item", "i0", SHARDS), SHARDS)
    path.write_bytes(path.read_bytes().replace(b"told", b"tolt"))
    with pytest.raises(DataError, match="cannot be read"):
        answers.of(0)
