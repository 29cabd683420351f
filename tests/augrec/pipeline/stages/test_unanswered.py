"""Unanswered requests keep a stage unfinished: the same command goes on with them, and status says what is open."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from augment.engines import registry
from augment.engines.base import Engine, EngineFailed
from augment.messages import Completion, Request
from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import read_json, read_parquet
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.executors.chain import run_one
from augrec.pipeline.executors.slurm.status import collect, notes, table
from augrec.pipeline.stages.base import Run
from tests.kit.toy_config import toy_config, write_config
from tests.kit.toy_run import silent

ATTRIBUTES = {"director": "Ada Kern", "country": "France", "language": "French"}


class Trouble(Engine):
    """Answers items; leaves those in `silent` unanswered, and dies before item `dies`."""

    def __init__(self, silent: Sequence[int] = (), dies: int | None = None) -> None:
        self.identity: dict[str, Any] = {"engine": "trouble"}
        self.block = 4
        self.silent, self.dies, self.asked = silent, dies, list[int]()

    def run(self, requests: Sequence[Request]) -> Iterator[Completion]:
        for request in requests:
            item = request.draft.entity
            if item == self.dies:
                raise EngineFailed("the server stopped answering", where="http://x", remedy="finished records are kept")
            self.asked.append(item)
            if item in self.silent:
                error = "server_error: status 503, 7 times"
                yield Completion(request, "", "error", request.draft.answer, error=error, unanswered=True)
            else:
                yield Completion(request, json.dumps(ATTRIBUTES), "stop", request.draft.answer)

    def describe(self) -> dict[str, Any]:
        return dict(self.identity)


Prepared = Callable[[Trouble], Run]


@pytest.fixture
def prepared(tmp_path: Path, toy_data: Path, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    """prepared(engine) is a run with candidates whose one source asks this engine about the items."""
    monkeypatch.setenv("AUGREC_CACHE", str(tmp_path / "cache"))
    engine = {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "m"}
    generation = {"shards": 2, "sources": {"llm": {"engine": engine, "tasks": ["item_attributes"]}}}
    more = {"output": str(tmp_path / "run"), "generation": generation, "embedding": {}}
    path = write_config(tmp_path / "run.yaml", toy_config(toy_data, more))
    for stage in ("prepare", "candidates"):
        run_one(Run(read_config(path)), stage, force=False, console=silent())

    def call(trouble: Trouble) -> Run:
        monkeypatch.setattr(registry, "build_engine", lambda *_, **__: trouble)
        return Run(read_config(path))

    return call


def augment(run: Run) -> None:
    run_one(run, "augment", force=False, console=silent())


def status(run: Run) -> str:
    rows, out = collect(run), io.StringIO()
    Console(file=out, width=200).print(table(rows), *notes(rows), sep="\n")
    return out.getvalue()


def test_a_stage_with_unanswered_requests_is_not_finished_and_goes_on(prepared: Prepared) -> None:
    first = Trouble(silent=(1, 5))
    run = prepared(first)
    items = len(read_parquet(run.folder / "dataset" / "items.parquet"))
    open_now = f"2 of {items} requests are not answered yet (2 server_error: status 503)"
    with pytest.raises(AugrecError) as raised:
        augment(run)
    assert open_now in raised.value.what
    assert "llm" in raised.value.what
    assert "run the same command again" in str(raised.value.remedy)
    assert not (run.folder / "augment" / "stage.json").exists()
    assert f"augment llm: {open_now}" in status(run)

    second = Trouble()
    run = prepared(second)
    augment(run)
    assert second.asked == [item for item in first.asked if item in (1, 5)], "only what was open is asked"
    totals = read_json(run.folder / "augment" / "summary.json")["totals"]
    assert totals == {"requests": items, "ok": items, "failed": 0}
    assert (run.folder / "augment" / "stage.json").exists()
    assert "not answered" not in status(run)


def test_an_engine_that_dies_is_in_the_error_and_in_the_status(prepared: Prepared) -> None:
    run = prepared(Trouble(dies=6))
    with pytest.raises(EngineFailed, match=r"stopped answering; \d+ of \d+ requests have their record") as raised:
        augment(run)
    assert "are kept" in str(raised.value.remedy)
    assert "the last run ended: the server stopped answering" in status(run)


def test_a_run_that_was_killed_says_how_many_records_there_are(prepared: Prepared) -> None:
    run = prepared(Trouble(silent=(1,)))
    with pytest.raises(AugrecError):
        augment(run)
    for note in (run.folder / "augment" / "llm" / "open").iterdir():
        note.unlink()
    items = len(read_parquet(run.folder / "dataset" / "items.parquet"))
    assert f"augment llm: {items - 1} records stored" in status(run)


def test_a_task_of_a_cluster_with_unanswered_requests_is_tried_again(prepared: Prepared) -> None:
    from augrec.pipeline.executors.share import do_share
    from augrec.pipeline.stages import STAGES

    chosen = {"source": "llm", "shards": "0"}
    run = prepared(Trouble(silent=tuple(range(30))))
    with pytest.raises(AugrecError, match="not answered yet"):
        do_share(run, STAGES["augment"], chosen, console=silent())
    assert "0/2" in status(run)
    run = prepared(Trouble())
    do_share(run, STAGES["augment"], chosen, console=silent())
    assert "1/2" in status(run)
