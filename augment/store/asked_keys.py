"""The keys of a source's questions, kept so that questions which cannot have changed are not made again to find them.

Making a question (rendering its prompt, counting its tokens) takes a hundred times as long as looking its key up. What
questions are made of has one hash; the keys that a pass over a shard found are written under it, 16 bytes each, and are
read instead of making the questions while the hash is the same. And when the shards and tables are byte for byte those
that the last pass left, its summary is read instead of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from augment.messages import Record, Request
from augment.store.request_index import KEY_BYTES, key_digest
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import atomic_path, canonical_json, read_json, sha256_file, write_json
from augrec.artefacts.source_folder import SourceFolder


@dataclass
class ShardKeys:
    """What a pass over the questions of one shard found.

    Args:
        digests: of the keys of each task, `KEY_BYTES` bytes each, one after the other.
        asked: {number: {task: the largest}}, as in the summary.
    """

    digests: dict[str, bytearray] = field(default_factory=dict)
    asked: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, asked: Request | Record) -> None:
        """A question that was made."""
        self.digests.setdefault(asked.task, bytearray()).extend(key_digest(asked.key))
        if isinstance(asked, Request):
            self._most("max_tokens", asked.task, asked.draft.answer.max_tokens)
            self._most("prompts_per_attempt", asked.task, len(asked.draft.orders))

    def _most(self, name: str, task: str, number: int) -> None:
        counts = self.asked.setdefault(name, {})
        counts[task] = max(counts.get(task, 0), number)

    def of(self, task: str) -> Iterator[bytes]:
        """The digests of a task's keys."""
        content = bytes(self.digests.get(task, b""))
        return (content[place : place + KEY_BYTES] for place in range(0, len(content), KEY_BYTES))

    def __len__(self) -> int:
        return sum(map(len, self.digests.values())) // KEY_BYTES


class AskedKeys:
    """The keys of each shard, a file per shard: a line of JSON, then the digests.

    Args:
        folder: R/augment/<source>.
        total: number of shards.
        made_of: see `augment.question_identity`; None keeps and finds nothing.
        wave: of the tasks, see `augment.tasks.order`.
    """

    def __init__(self, folder: Path, total: int, made_of: str | None, wave: int = 0) -> None:
        self._files, self._total, self._made_of = SourceFolder(folder), total, made_of
        self._suffix = f".wave-{wave}" if wave else ""

    def read(self, shard: int) -> ShardKeys | None:
        """What was found of a shard's questions; None where it is not known, or they may be others now."""
        path = self._path(shard)
        if self._made_of is None or not path.exists():
            return None
        with path.open("rb") as file:
            try:
                head = json.loads(file.readline())
            except ValueError:
                return None
            body = file.read()
        if not isinstance(head, dict) or head.pop("sha256", None) != _sum(head, body):
            return None
        if head["made_of"] != self._made_of:
            return None
        found, place = ShardKeys(asked=head["asked"]), 0
        for task, count in head["tasks"].items():
            found.digests[task] = bytearray(body[place : place + count * KEY_BYTES])
            place += count * KEY_BYTES
        return found

    def write(self, shard: int, keys: ShardKeys) -> None:
        """Keeps what a whole pass over a shard found."""
        if self._made_of is None:
            return
        body = b"".join(keys.digests.values())
        head = {
            "made_of": self._made_of,
            "tasks": {task: len(digests) // KEY_BYTES for task, digests in keys.digests.items()},
            "asked": keys.asked,
        }
        with atomic_path(self._path(shard)) as temporary:
            temporary.write_bytes(json.dumps(head | {"sha256": _sum(head, body)}).encode() + b"\n" + body)

    def _path(self, shard: int) -> Path:
        return self._files.asked_keys(shard, self._total, self._suffix)


def _sum(head: dict[str, Any], body: bytes) -> str:
    return hashlib.sha256(canonical_json(head) + body).hexdigest()


class LastPass:
    """The summary of the last pass that left nothing open, with the hashes of the files it read and wrote.

    Args:
        folder: R/augment/<source>.
        part: of the source that is answered, see `TaskFolder.records_of`.
        made_of: see `augment.question_identity`.
        shards, tables: the files that the summary is of; a shard may not exist.
    """

    def __init__(
        self, folder: Path, part: str, made_of: str | None, shards: Sequence[Path], tables: Mapping[str, Path]
    ) -> None:
        self._folder, self._path, self._made_of = folder, SourceFolder(folder).last_pass(part), made_of
        self._shards, self._tables = shards, tables

    def read(self) -> dict[str, Any] | None:
        """The summary; None where questions, records or tables may be others now."""
        if self._made_of is None or not self._path.exists() or not all(path.exists() for path in self._tables.values()):
            return None
        try:
            kept = read_json(self._path)
        except DataError:
            return None
        if kept.get("made_of") != self._made_of or kept.get("files") != self._hashes():
            return None
        summary: dict[str, Any] = kept["summary"]
        return summary

    def write(self, summary: dict[str, Any]) -> None:
        """Keeps a summary; called when the records are stored and the tables written."""
        if self._made_of is not None:
            write_json(self._path, {"made_of": self._made_of, "files": self._hashes(), "summary": summary})

    def _hashes(self) -> dict[str, str]:
        files = [*(path for path in self._shards if path.exists()), *self._tables.values()]
        return {path.relative_to(self._folder).as_posix(): sha256_file(path) for path in files}
