"""Where the answers of one source lie, `augment/<source>/`, in a run or in what an import wrote.

Several processes may answer parts of a source. What each of them notes lies in a file of its own that is called after
the first shard it works on; whoever reads takes all of them together.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Note = Literal["endpoints", "energy", "open", "seconds", "timeline", "under_way"]
"""What a process notes: joules while generating, what is unanswered, seconds by task, rates over time, what it asks."""
RECORDS, SHARDS = "records.parquet", "shards"


@dataclass(frozen=True)
class TaskFolder:
    """What one source answered to one task."""

    root: Path

    @property
    def name(self) -> str:
        """The task's."""
        return self.root.name

    @property
    def records(self) -> Path:
        """All records of the task, one question a row."""
        return self.root / RECORDS

    def records_of(self, part: str) -> Path:
        """The records of a process that answers a part of the source, until all parts are merged."""
        return self.root / f"records{part}.parquet"

    @property
    def card(self) -> Path:
        """What the task is, see `augrec.artefacts.tasks`."""
        return self.root / "task.json"

    @property
    def shards(self) -> Path:
        """The folder of the logs that answers are appended to; `records` is merged from them."""
        return self.root / SHARDS

    def shard(self, number: int, total: int) -> Path:
        """One of the append-only files of records."""
        return self.shards / f"{number:05d}-of-{total:05d}.jsonl"

    def shard_files(self) -> list[Path]:
        """The shards that hold a record."""
        return sorted(self.shards.glob("*.jsonl"))

    def damaged(self) -> list[Path]:
        """The damaged lines of shards, one file a shard."""
        return sorted(self.shards.glob("*.damaged"))


def damaged_of(shard: Path) -> Path:
    """Where the damaged lines of a shard go."""
    return shard.with_suffix(".damaged")


@dataclass(frozen=True)
class SourceFolder:
    """The answers of one source, and the description of what made them."""

    root: Path

    @property
    def name(self) -> str:
        """The source's."""
        return self.root.name

    def task(self, name: str) -> TaskFolder:
        """The folder of a task's answers, there or not."""
        return TaskFolder(self.root / name)

    def tasks(self) -> list[TaskFolder]:
        """Those with merged records, in order of their names."""
        return [TaskFolder(path.parent) for path in sorted(self.root.glob(f"*/{RECORDS}"))]

    def parts(self) -> list[Path]:
        """The records of processes that answered a part, see `TaskFolder.records_of`."""
        return sorted(self.root.glob("*/records-*.parquet"))

    def tasks_with_shards(self) -> list[TaskFolder]:
        """Those with a folder of shards, merged or not, in order of their names."""
        return [TaskFolder(path.parent) for path in sorted(self.root.glob(f"*/{SHARDS}")) if path.is_dir()]

    @property
    def engine_json(self) -> Path:
        """What made the records."""
        return self.root / "engine.json"

    def engine(self, name: str) -> Path:
        """The description of one engine, by the name that its records carry."""
        return self.root / "engines" / f"{name}.json"

    def engine_log(self, part: str = "") -> Path:
        """What an engine printed; `part` as in `TaskFolder.records_of`."""
        return self.root / f"engine{part}.log"

    @property
    def number_format(self) -> Path:
        """The number format that was settled on at the first start."""
        return self.root / "number_format.json"

    @property
    def pin(self) -> Path:
        """How many shards there are, and the layout of their lines."""
        return self.root / "run.json"

    def lock(self, shard: int) -> Path:
        """To hold while records are added to a shard."""
        return self.root / "locks" / f"{shard:05d}.lock"

    @property
    def layout_lock(self) -> Path:
        """To hold while the layout is looked at."""
        return self.root / "locks" / "layout.lock"

    @property
    def attempts(self) -> Path:
        """The folder of the attempts on all shards."""
        return self.root / "attempts"

    def attempt_log(self, shard: int) -> Path:
        """The attempts on a shard."""
        return self.attempts / f"{shard:05d}.jsonl"

    def note(self, kind: Note, shard: int) -> Path:
        """What a process notes; `shard` is the first one it works on."""
        return self.root / kind / f"{shard:05d}.json"

    def notes(self, kind: Note) -> list[Path]:
        """What all processes noted."""
        return sorted((self.root / kind).glob("*.json"))

    def asked_keys(self, shard: int, total: int, wave: str = "") -> Path:
        """The keys of a shard's questions, for a quick start."""
        return self.root / "asked" / f"{shard:05d}-of-{total:05d}{wave}.keys"

    def last_pass(self, part: str = "") -> Path:
        """The last summary, for a quick start; `part` as in `TaskFolder.records_of`."""
        return self.root / f"last-pass{part}.json"

    @property
    def set_aside(self) -> Path:
        """Records of older layouts; kept, and read by nobody."""
        return self.root / "set-aside"

    def of_records(self) -> list[Path]:
        """What says something of the records beside the shards, as far as it is there."""
        names = ("seconds", "timeline", "energy", "endpoints")
        return [path for path in (*(self.root / name for name in names), self.engine_json) if path.exists()]
