"""A record as a line of a shard: with source ids, and with what the table leaves out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from typing import Any, cast

from augment.messages import Record
from augment.source_ids import SourceIds, UnknownItem, reviewed, translated
from augment.store.line_check import Damaged, check_line
from augrec.artefacts.records import SHOWN_ITEMS
from augrec.artefacts.tasks import About, Kind, TaskCard

_FIELDS = tuple(field.name for field in fields(Record))
_REVIEWS = "shown_reviews"
_WHERE_NEEDED = ("question", _REVIEWS, "reviews_sha256", "shown_similar")
"""Fields that a line has only where an entity has several questions, or reviews or a similar user were shown."""


class OtherVersion(ValueError):
    """A line has other fields than this version writes."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The content of a line: the fields of `Record`, with source ids for every user and item, and `about`."""

    content: dict[str, Any]

    @property
    def key(self) -> str:
        """The key of the question that the line answers."""
        return cast("str", self.content["key"])

    @property
    def task(self) -> str:
        """The name of the task."""
        return cast("str", self.content["task"])

    @property
    def about(self) -> About:
        """Whether the record is of a user or of an item."""
        return cast("About", self.content["about"])

    @property
    def entity(self) -> str:
        """The source's id of the user or item."""
        return cast("str", self.content["entity"])

    @property
    def block(self) -> str:
        """See `Record.block`."""
        return cast("str", self.content["block"])

    @property
    def answer(self) -> int:
        """64 bits that two records with the same answer share."""
        return answer_mark(self.content["status"], self.content["text"])

    def line(self) -> str:
        """One line of JSON, without the newline; `key` comes first."""
        return json.dumps(self.content, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def of(cls, record: Record, card: TaskCard, ids: SourceIds) -> Stored:
        """The stored form of a record of the present data set; the card is its task's."""
        content: dict[str, Any] = {name: getattr(record, name) for name in _FIELDS}
        content["entity"] = ids.of(card.about, record.entity)
        for name in SHOWN_ITEMS:
            content[name] = ids.items(content[name])
        content[_REVIEWS] = ids.several(reviewed(card.about), content[_REVIEWS])
        if record.fields is not None:
            content["fields"] = _written(card.gives, record.fields, lambda item: ids.of("item", item))
        for name in _WHERE_NEEDED:
            if not content[name]:
                del content[name]
        head = {name: content.pop(name) for name in ("key", "task")}
        return cls({**head, "about": card.about, **content})

    @classmethod
    def from_line(cls, line: str | bytes, gives: Kind) -> Stored:
        """Reads `line()` back; `gives` says what the task gives.

        Raises:
            Damaged: it is no JSON object, or a value in it is no record's.
            OtherVersion: it has other fields.
        """
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Damaged(f"not JSON: {str(error)[:80]}") from None
        if not isinstance(content, dict):
            raise Damaged("not a JSON object")
        names = {"about", *_FIELDS}
        if content.keys() | set(_WHERE_NEEDED) != names:
            odd = sorted((content.keys() | set(_WHERE_NEEDED)) ^ names)
            raise OtherVersion(f"{'without' if odd[0] in names else 'with'} the field {odd[0]!r}")
        check_line(content, gives)
        return cls(content)

    def record(self, ids: SourceIds, gives: Kind) -> Record | None:
        """The record in the ids of a data set; None when it is about, or names, what is not in there."""
        entity = ids.find(self.about, self.entity)
        content = {name: self.content[name] for name in _FIELDS if name in self.content}
        shown = {
            name: tuple(ids.find("item", item) for item in content[name]) for name in SHOWN_ITEMS if name in content
        }
        if _REVIEWS in content:
            shown[_REVIEWS] = tuple(ids.find(reviewed(self.about), other) for other in content[_REVIEWS])
        if entity is None or any(None in several for several in shown.values()):
            return None
        try:
            if content["fields"] is not None:
                content["fields"] = _written(gives, content["fields"], lambda item: ids.find("item", item))
        except (UnknownItem, ValueError):
            return None
        return Record(**content | shown | {"entity": entity, "repairs": tuple(content["repairs"])})


def answer_mark(status: str, text: str) -> int:
    """64 bits of an answer's status and text."""
    return int.from_bytes(hashlib.sha256(f"{status}\n{text}".encode("utf-8", "surrogatepass")).digest()[:8], "big")


def _written(gives: Kind, text: str, item: Any) -> str:
    """The fields as text, with other ids for items; as they are where answers of this kind hold none."""
    if not (gives.items or gives.lists or gives.scores):
        return text
    return json.dumps(translated(gives, json.loads(text), item), ensure_ascii=False, separators=(",", ":"))
