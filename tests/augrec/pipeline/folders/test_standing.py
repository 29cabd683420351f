"""How a folder stands: records and not whole shards, while somebody is at work and after he was stopped."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import read_json, tree_size, write_json
from augrec.artefacts.owners import this_process
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.run_log import AtWork, kept, show
from augrec.pipeline.folders.disk_use import disk_use
from augrec.pipeline.folders.standing import brief, lines_of, shown, standing, watch
from tests.kit.toy_config import write_config


@pytest.fixture
def run(run_copy: Path, finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setenv("AUGREC_CACHE", str(finished_run.parent / "cache"))
    return RunFolder(run_copy)


def printed(folder: Path) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(shown(standing(folder)))
    return out.getvalue()


def test_a_finished_run_is_done_in_all_its_stages(run: RunFolder) -> None:
    found = standing(run.root)
    assert (found.kind, found.state, found.at_work) == ("run", "done", ())
    assert set(brief(found)) == {f"{row.stage}\tdone" for row in found.stages}


def test_records_are_counted_while_a_source_is_answered_and_after_it_was_killed(run: RunFolder) -> None:
    run.stage_marker("augment").unlink()
    with kept(None, run.at_work):
        show(AtWork("augment rule", 20, 40, "requests"))
        assert "20 of 40 requests" in printed(run.root)
        assert "40 records" not in printed(run.root), "a part of the shards is not all of them"

    def killed_at_147() -> None:
        with kept(None, run.at_work, whole=True):
            show(AtWork("augment rule", 147, 269, "requests", 0.26, 32.0, "read 43,197 tokens"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed_at_147()
    now = standing(run.root)  # the process that wrote it is this one
    assert now.state == "running"
    row = next(row for row in now.stages if row.group == "rule")
    assert (row.records, row.records_of) == (147, 269)
    assert "147 of 269 records" in printed(run.root)
    (line,) = lines_of(now)
    assert line.startswith("augment rule  147 of 269 requests  3.8/s  ETA 0:00:32  read 43,197 tokens  (at ")

    (state,) = run.at_work.glob("*.json")
    content = read_json(state)
    write_json(state, content | {"process": content["process"] | {"pid": 2**31 - 1}})
    killed = standing(run.root)
    assert killed.state == "open"
    assert "147 of 269 records" in printed(run.root)
    assert "ETA" not in lines_of(killed)[0]
    assert "ended; last seen on" in lines_of(killed)[0]


def test_a_watch_ends_with_the_work_and_says_how_it_stands(run: RunFolder) -> None:
    run.stage_marker("report").unlink()
    state = run.at_work / "1.json"
    content = {"title": "report", "process": this_process(shared=False).place()}
    write_json(state, content)
    looks = []

    def wait(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            state.unlink()

    out = io.StringIO()
    found = watch(run.root, Console(file=out, width=100), wait)
    assert len(looks) == 3
    assert (found.state, found.at_work) == ("open", ())


def test_what_takes_the_disk_adds_up(run: RunFolder) -> None:
    found = disk_use(run.root)
    assert found.bytes == tree_size(run.root) == sum(part.bytes for part in found.parts)
    parts = {part.part: part for part in found.parts}
    assert list(parts)[:5] == ["dataset", "candidates", "augment", "embed", "train"]
    assert {"rule"} <= {part.part for part in parts["augment"].inside}
    assert {"llmrec", "popular"} <= {part.part for part in parts["train"].inside}
    for part in found.parts:
        assert not part.inside or sum(inner.bytes for inner in part.inside) == part.bytes


@pytest.mark.parametrize("look", [standing, disk_use])
def test_a_folder_of_anything_else_is_refused(tmp_path: Path, look: object) -> None:
    (tmp_path / "notes.json").write_text(json.dumps({}))
    with pytest.raises(UsageError, match="no "):
        look(tmp_path)  # type: ignore[operator]


def test_members_that_have_not_begun_are_open(tmp_path: Path) -> None:
    table = {"title": "T", "metrics": ["recall@10"], "baseline": "graph"}
    options = {"name": "x", "base": {}, "datasets": {"a": {}, "b": {}}, "settings": {"s": {}}, "tables": {"t": table}}
    write_config(tmp_path / "experiment.yaml", options)
    found = standing(tmp_path)
    assert found.kind == "experiment"
    assert list(brief(found)) == ["a/s\topen", "b/s\topen"]
