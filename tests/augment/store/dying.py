"""Processes that answer a source and die, forked from one that has everything imported so that each costs little.

Reads one JSON object per line: `data` and `out` are folders, `die` says where to die by SIGKILL:
  {"at": "log", "number": n, "part": p}      after a share p of the n-th record was written
  {"at": "table", "number": n, "part": p}    after a share p of the n-th table was written
  {"at": "rename", "number": n, "after": b}  before or after the n-th table gets its name
`fatal` is a user whose edges kill the process when they are asked for, `engine` the options that the source has, and
`hold` is a FIFO to wait for, after `hold_after` records. Prints `pid N`, `stored` after each record, `error TEXT`,
and `ended STATUS`, one per line.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import pyarrow.parquet as pq

from augment.catalog import Catalog
from augment.messages import Record, Request
from augment.options import GenerationOptions
from augment.runner import run_source
from augment.store import store
from augment.store.lines import Stored
from tests.kit.fake_engine import FakeEngine, honest, sociable


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def busy(request: Request, company: Sequence[Request]) -> str:
    """An answer that takes a millisecond or so, so that a kill from outside arrives between two."""
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2000)
    return sociable(request, company)


def fatal(user: int) -> Callable[[Request, Sequence[Request]], str]:
    """Honest answers, and the end of the process at the edges of a user."""

    def answer(request: Request, company: Sequence[Request]) -> str:
        if request.task == "edges" and request.draft.entity == user:
            die()
        return honest(request, company)

    return answer


def run(data: Path, out: Path, engine: FakeEngine, options: dict[str, Any] | None = None) -> None:
    source_options = {"engine": options or {"kind": "heuristic"}}
    generation = GenerationOptions.model_validate({"sources": {"fake": source_options}, "shards": 3})
    catalog = Catalog.load(data / "dataset", data / "candidates" / "candidates.parquet")
    run_source(catalog, "fake", generation.sources["fake"], generation, folder=out, seed=0, engine=engine)


def counted(number: int) -> Callable[[], bool]:
    """True when called for the `number`-th time."""
    calls = iter(range(1, sys.maxsize))
    return lambda: next(calls) == number


def arm(plan: dict[str, Any]) -> None:
    """Makes this process die where the plan says."""
    due, part = counted(plan["number"]), plan.get("part", 0.0)
    replace, line_of = Path.replace, store.line_of

    def half_a_line(stored: Stored) -> bytes:
        line = line_of(stored)
        return b"\0DIE" + line[: int(len(line) * part)] if due() else line

    def write(handle: int, data: bytes) -> int:
        if data.startswith(b"\0DIE"):
            real_write(handle, data[4:])
            die()
        return real_write(handle, data)

    class HalfATable(pq.ParquetWriter):
        """Dies when a share of what should be in the file is in it."""

        def __init__(self, where: Path, *given: Any, **options: Any) -> None:
            super().__init__(where, *given, **options)
            self._where = where

        def close(self) -> None:
            closing = self.is_open
            super().close()
            if closing and due():
                os.truncate(self._where, int(self._where.stat().st_size * part))
                die()

    def rename(path: Path, target: Path) -> Path:
        chosen = target.suffix == ".parquet" and due()
        if chosen and not plan["after"]:
            die()
        replace(path, target)
        if chosen:
            die()
        return target

    real_write = os.write
    if plan["at"] == "log":
        store.line_of, os.write = half_a_line, write  # type: ignore[assignment]
    elif plan["at"] == "table":
        pq.ParquetWriter = HalfATable
    else:
        Path.replace = rename  # type: ignore[method-assign, assignment]


def report(hold: str | None, after: int) -> None:
    """Says every stored record; waits after so many of them until somebody opens the FIFO."""
    append, due = store.Store.append, counted(after)

    def said(self: store.Store, record: Record) -> None:
        append(self, record)
        say("stored")
        if hold and due():
            Path(hold).read_text()

    store.Store.append = said  # type: ignore[method-assign]


def child(task: dict[str, Any]) -> NoReturn:
    status = 1
    try:
        report(task.get("hold"), task.get("hold_after", 0))
        if task.get("die"):
            arm(task["die"])
        answer = fatal(task["fatal"]) if "fatal" in task else busy
        run(Path(task["data"]), Path(task["out"]), FakeEngine(answer, exact=True), task.get("engine"))
        status = 0
    except Exception as error:
        say(f"error {' '.join(str(error).split())}")
    finally:
        os._exit(status)


def import_everything(data: Path) -> None:
    """Answers once, because much is imported where it is first used."""
    with TemporaryDirectory() as out:
        run(data, Path(out), FakeEngine(sociable))


def main() -> None:
    for number, line in enumerate(sys.stdin):
        if number == 0:
            import_everything(Path(json.loads(line)["data"]))
        pid = os.fork()
        if pid == 0:
            child(json.loads(line))
        say(f"pid {pid}")
        say(f"ended {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}")


if __name__ == "__main__":
    main()
