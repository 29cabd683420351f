"""A config that names less: nothing is deleted, nobody reads what it no longer names, and `clean` can delete it."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock
from rich.console import Console

from augrec.artefacts.errors import AugrecError, DataError, UsageError
from augrec.artefacts.files import read_json, write_json
from augrec.artefacts.matrices import blocks_of
from augrec.artefacts.source_folder import SourceFolder, damaged_of
from augrec.artefacts.study_folder import SearchFolder
from augrec.pipeline.audit import audit_run
from augrec.pipeline.config.run_config import read_config, save_config
from augrec.pipeline.config.sections import read_sections
from augrec.pipeline.executors.chain import run_all, run_stage
from augrec.pipeline.executors.slurm.status import collect
from augrec.pipeline.folders.clean import clean, leftovers, render
from augrec.pipeline.side.side_information import side_files
from augrec.pipeline.stages import STAGES, chain
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.saved_run import read_run
from augrec.report.pages.run.facts import read_facts
from augrec.report.pages.run.generated import read_records
from tests.kit.toy_data import write_toy_data
from tests.kit.toy_run import in_this_process, silent

Narrow = Callable[[dict[str, Any]], None]


@pytest.fixture
def cache(finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUGREC_CACHE", str(finished_run.parent / "cache"))


@pytest.fixture
def narrowed(finished_run: Path, run_copy: Path, tmp_path: Path, cache: None) -> Callable[[Narrow], Run]:
    """The copied run under a config from which something was taken away; nothing is run yet."""

    def narrow(change: Narrow) -> Run:
        raw = read_sections(finished_run.parent / "toy.yaml")
        change(raw)
        path = tmp_path / "narrow.yaml"
        path.write_text(yaml.safe_dump(raw, sort_keys=False))
        run = Run(read_config(path, [f"output={run_copy}"]))
        save_config(run.config, run.folder / "config.yaml")
        return run

    return narrow


def go(run: Run, *stages: str) -> str:
    shown = io.StringIO()
    console = Console(file=shown, width=250)
    with in_this_process():
        if not stages:
            run_all(run, console=console)
        for name in stages:
            run_stage(STAGES[name], run, False, name, console)
    return shown.getvalue()


def states(folder: Path) -> dict[str, str]:
    return {row.stage: row.state for row in collect(read_run(folder)) if not row.group}


def listed(run: Run) -> set[str]:
    return {one.path.as_posix() for one in leftovers(run)}


def fewer_seeds(raw: dict[str, Any]) -> None:
    raw["seeds"] = [1]
    del raw["variants"]["popular"]


def fewer_tasks(raw: dict[str, Any]) -> None:
    raw["generation"]["sources"]["rule"]["tasks"] = ["edges", "user_profile"]


def no_edges(raw: dict[str, Any]) -> None:
    raw["generation"]["sources"]["rule"]["tasks"] = ["user_profile"]
    raw["variants"]["llmrec"]["change"] = {"edges": "random"}


def other_source(raw: dict[str, Any]) -> None:
    raw["generation"]["sources"]["other"] = raw["generation"]["sources"].pop("rule")
    for variant in raw["variants"].values():
        if variant.get("source"):
            variant["source"] = "other"


def test_trainings_that_are_no_longer_named_stay_and_are_not_shown(narrowed: Callable[[Narrow], Run]) -> None:
    run = narrowed(fewer_seeds)
    before = {path: path.read_bytes() for path in run.folder.glob("train/*/*/metrics.json")}
    go(run)
    assert {path: path.read_bytes() for path in run.folder.glob("train/*/*/metrics.json")} == before
    rows = read_json(run.folder / "report" / "results.json")["rows"]
    assert {row["variant"] for row in rows} == {"llmrec", "shuffled", "base"}
    assert {row["seed"] for row in rows} == {1}
    assert set(states(run.folder).values()) == {"done"}


def test_a_widened_config_finds_its_trainings_again(
    finished_run: Path, narrowed: Callable[[Narrow], Run], run_copy: Path
) -> None:
    go(narrowed(fewer_seeds))
    before = {path: path.stat().st_mtime_ns for path in run_copy.glob("train/*/*/metrics.json")}
    go(Run(read_config(finished_run.parent / "toy.yaml", [f"output={run_copy}"])))
    assert len(before) == 8
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_forced_stage_starts_from_nothing_and_leaves_what_is_not_named(narrowed: Callable[[Narrow], Run]) -> None:
    run = narrowed(fewer_seeds)
    STAGES["train"].clear(run)
    left = {
        path.parent.relative_to(run.folder / "train").as_posix() for path in run.folder.glob("train/*/*/metrics.json")
    }
    assert left == {"popular/seed-1", "popular/seed-2", "llmrec/seed-2", "shuffled/seed-2", "base/seed-2"}
    assert not (run.folder / "train" / "stage.json").exists()
    run = narrowed(other_source)
    for name in ("augment", "embed"):
        STAGES[name].clear(run)
        assert (run.folder / name / "rule").exists()
        assert not (run.folder / name / "stage.json").exists()
    assert not (run.folder / "embed" / "data").exists()


def test_a_removed_task_is_neither_embedded_nor_trained_on_nor_shown(narrowed: Callable[[Narrow], Run]) -> None:
    run = narrowed(fewer_tasks)
    assert (run.folder / "embed" / "rule" / "director.npy").exists()
    go(run, "augment", "embed")
    for begun in ("director", "user_profile"):  # of an embedding that was killed, and whose texts are others now
        write_json(blocks_of(run.folder / "embed" / "rule" / begun) / "block.json", 0)
    names = {path.relative_to(run.folder).as_posix() for path in side_files(run.folder, run.config.variants["llmrec"])}
    assert {name for name in names if name.startswith(("embed/rule", "augment"))} == {
        "embed/rule/user_profile.npy",
        "augment/rule/edges/records.parquet",
        "augment/rule/edges/task.json",
        "augment/rule/user_profile/task.json",
    }
    assert not any(name.startswith("embed/rule/director") for name in STAGES["embed"].marker(run).outputs)  # type: ignore[union-attr]
    assert set(read_records(run.folder, ["rule"])) == {("rule", "edges"), ("rule", "user_profile")}
    facts = read_facts(run.folder, {}, {})
    assert facts.embeddings is not None
    embedded = [[cell.text for cell in row.cells[:2]] for row in facts.embeddings.rows]
    assert [field for group, field in embedded if group == "rule"] == ["user_profile"]
    assert (run.folder / "augment" / "rule" / "item_attributes" / "records.parquet").exists()
    assert {"augment/rule/item_attributes", "embed/rule/director.npy", "embed/rule/director.json"} <= listed(run)
    assert {name for name in listed(run) if "user_profile" in name} == {"embed/rule/user_profile.blocks"}


def test_a_removed_source_is_not_shown(narrowed: Callable[[Narrow], Run]) -> None:
    run = narrowed(other_source)
    go(run, "augment", "embed")
    assert [name for name, _, _ in read_facts(run.folder, {}, {}).sources] == ["other"]
    assert {name.split("/")[1] for name in map(str, STAGES["embed"].marker(run).outputs)} == {"data", "other"}  # type: ignore[union-attr]
    assert listed(run) == {"augment/rule", "embed/rule"}


def test_edges_that_no_task_makes_any_more_are_refused_before_anything_runs(
    narrowed: Callable[[Narrow], Run],
) -> None:
    with pytest.raises(UsageError, match=r"variants\.llmrec\.change\.edges: random, and nobody makes any.*not edges"):
        narrowed(no_edges)


def test_a_file_that_was_trained_on_and_that_no_check_covers_is_a_violation(run_copy: Path) -> None:
    assert audit_run(run_copy).violations == 0
    for stale in ("augment/gone/edges/records.parquet", "embed/rule/gone.npy"):
        (run_copy / stale).parent.mkdir(parents=True, exist_ok=True)
        (run_copy / stale).write_bytes(b"")
        marker = read_json(run_copy / "train" / "stage.json")
        marker["details"]["read"].append(stale)
        write_json(run_copy / "train" / "stage.json", marker)
        wrong = [check for check in audit_run(run_copy).checks if check.violations]
        assert [check.name for check in wrong] == ["trainings read what was checked"]
        assert any(stale in problem for problem in wrong[0].violations)


def test_every_training_says_what_it_read(run_copy: Path) -> None:
    read = read_json(run_copy / "train" / "stage.json")["details"]["read"]
    assert {"augment/rule/edges/records.parquet", "embed/rule/user_profile.npy", "embed/data/text.npy"} <= set(read)


def test_a_finished_run_is_done_wherever_it_lies(
    finished_run: Path, run_copy: Path, tmp_path: Path, cache: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(states(finished_run).values()) == {"done"}
    moved = tmp_path / "another place" / "moved"
    moved.parent.mkdir()
    shutil.move(run_copy, moved)
    assert set(states(moved).values()) == {"done"}
    monkeypatch.chdir(moved.parent)
    assert set(states(Path("moved")).values()) == {"done"}
    run = read_run(moved)
    assert go(run).count("skipped, unchanged") == len(chain(run.config))


def test_data_and_folders_that_moved_re_run_nothing(
    finished_run: Path, run_copy: Path, tmp_path: Path, cache: None
) -> None:
    data = shutil.copytree(finished_run.parent / "data", tmp_path / "data elsewhere")
    run = Run(read_config(finished_run.parent / "toy.yaml", [f"output={run_copy}", f"dataset.source.path={data}"]))
    assert go(run).count("skipped, unchanged") == len(chain(run.config))


def test_status_goes_by_what_was_run_or_submitted_last(run_copy: Path, cache: None) -> None:
    older = run_copy / "slurm" / "0001" / "config.yaml"
    older.parent.mkdir(parents=True)
    older.write_text((run_copy / "config.yaml").read_text().replace("- 2\n", "- 2\n- 3\n"))
    os.utime(older, ns=(1, 1))
    assert read_run(run_copy).config.seeds == [1, 2]
    os.utime(run_copy / "config.yaml", ns=(0, 0))
    assert read_run(run_copy).config.seeds == [1, 2, 3]


def test_clean_lists_first_and_deletes_when_told_to(narrowed: Callable[[Narrow], Run]) -> None:
    run = narrowed(fewer_seeds)
    go(run)
    expected = {"train/popular", *(f"train/{name}/seed-2" for name in ("llmrec", "shuffled", "base"))}
    scrap, mine = run.folder / "embed" / ".text.npy.abc.tmp", run.folder / "train" / "notes.txt"
    scrap.write_bytes(b"half")
    mine.write_text("mine")
    (run.folder / "augment" / "my own folder").mkdir()
    shown = io.StringIO()
    found = clean(run.folder, delete=False)
    render(found, Console(file=shown, width=200), deleted=False)
    assert listed(run) == {one.path.as_posix() for one in found}
    assert listed(run) == expected | {"embed/.text.npy.abc.tmp"}
    assert all((run.folder / one.path).exists() for one in found)
    sizes = {one.path.name: one.size for one in found}
    assert sizes[".text.npy.abc.tmp"] == 4
    assert sizes["popular"] == sum(
        p.stat().st_size for p in (run.folder / "train" / "popular").rglob("*") if p.is_file()
    )
    assert "train/popular" in shown.getvalue()
    assert "--yes" in shown.getvalue()

    gone = {run.folder / one.path for one in found}
    kept = {path for path in run.folder.rglob("*") if gone.isdisjoint((path, *path.parents))}
    clean(run.folder, delete=True)
    assert set(run.folder.rglob("*")) - {run.folder / ".lock"} == kept - {run.folder / ".lock"}
    assert listed(run) == set()
    assert set(states(run.folder).values()) == {"done"}


def test_clean_lists_what_was_set_aside(narrowed: Callable[[Narrow], Run]) -> None:
    run = narrowed(fewer_seeds)
    source = SourceFolder(run.folder / "augment" / "rule")
    before = listed(run)
    older = source.set_aside / "layout-1" / "edges" / "shards" / "00000-of-00001.jsonl"
    older.parent.mkdir(parents=True)
    older.write_text("{}\n")
    damaged = damaged_of(source.task("edges").shard(0, 2))
    damaged.write_text("half a line\n")
    assert listed(run) - before == {"augment/rule/set-aside", "augment/rule/edges/shards/00000-of-00002.damaged"}
    clean(run.folder, delete=False)
    assert older.exists()
    assert damaged.exists()
    kept = {shard: shard.read_bytes() for task in source.tasks() for shard in task.shard_files()}
    clean(run.folder, delete=True)
    assert not source.set_aside.exists()
    assert not damaged.exists()
    assert kept == {shard: shard.read_bytes() for shard in kept}
    assert states(run.folder)["augment"] == "done"


def test_clean_lists_trials_whose_values_are_kept(narrowed: Callable[[Narrow], Run]) -> None:
    run = narrowed(fewer_seeds)
    before = listed(run)
    journalled, grid, gone = (SearchFolder(run.folder / "search" / name) for name in ("base", "llmrec", "no-model"))
    for search in (journalled, grid, gone):
        for position in range(4):
            search.trial(position).training(7).root.mkdir(parents=True)
        search.trials_csv.write_text("trial,state,recall@10\n0,complete,0.5\n1,fail,\n2,running,\n")
    journalled.journal.write_text("{}\n")
    ended = {"search/base/trial-000", "search/base/trial-001"}
    assert listed(run) - before == ended | {"search/no-model"}
    clean(run.folder, delete=True)
    assert [trial.root.name for trial in journalled.trials()] == ["trial-002", "trial-003"]
    assert journalled.journal.exists()
    assert len(grid.trials()) == 4, "the trainings are a grid's only memory"
    assert not gone.root.exists()


def test_clean_touches_nothing_behind_a_link(narrowed: Callable[[Narrow], Run], tmp_path: Path) -> None:
    run = narrowed(fewer_seeds)
    outside = tmp_path / "outside"
    shutil.copytree(run.folder / "train" / "popular", outside / "seed-1")
    (outside / ".half.tmp").write_bytes(b"x")
    (run.folder / "train" / "linked").symlink_to(outside)
    (run.folder / "train" / "base" / "seed-9").symlink_to(outside)
    shutil.rmtree(run.folder / "embed")
    (run.folder / "embed").symlink_to(outside)
    clean(run.folder, delete=True)
    assert (outside / ".half.tmp").exists()
    assert (outside / "seed-1").exists()
    assert not (run.folder / "train" / "popular").exists()


def test_clean_refuses_what_is_no_run(tmp_path: Path, run_copy: Path) -> None:
    (tmp_path / "train" / "x" / "seed-1").mkdir(parents=True)
    with pytest.raises(UsageError, match="no run folder"):
        clean(tmp_path, delete=True)
    shutil.copy(run_copy / "config.yaml", tmp_path / "config.yaml")
    with pytest.raises(UsageError, match="no run folder"):
        clean(tmp_path, delete=True)
    with pytest.raises(UsageError, match="no such folder"):
        clean(tmp_path / "nowhere", delete=True)
    assert (tmp_path / "train" / "x" / "seed-1").exists()
    assert not (tmp_path / "nowhere").exists()


def test_clean_deletes_nothing_while_somebody_is_at_work(narrowed: Callable[[Narrow], Run]) -> None:
    run = narrowed(fewer_seeds)
    with FileLock(run.folder / ".lock"), pytest.raises(AugrecError, match="another augrec process"):
        clean(run.folder, delete=True)
    assert (run.folder / "train" / "popular").exists()


def test_a_folder_is_not_taken_over_by_another_data_set(
    finished_run: Path, run_copy: Path, tmp_path: Path, cache: None
) -> None:
    other = write_toy_data(tmp_path / "other", n_users=37)
    (other / "toy.item").write_text((other / "toy.item").read_text().replace("Film", "Song"))
    (other / "toy.user").write_text((other / "toy.user").read_text().replace("writer", "singer"))
    config, before = finished_run.parent / "toy.yaml", (run_copy / "config.yaml").read_bytes()
    here = [f"output={run_copy}", f"dataset.source.path={other}", "dataset.name=Songs"]
    with pytest.raises(UsageError, match=r"another data set.*name Toy -> Songs") as caught:
        go(Run(read_config(config, here)))
    assert "--force prepare" in str(caught.value)
    assert "`name`" in str(caught.value)
    assert (run_copy / "config.yaml").read_bytes() == before
    assert states(run_copy)["prepare"] == "done"
    with pytest.raises(UsageError, match="another data set"):
        go(Run(read_config(config, here)), "prepare")
    run_stage(STAGES["prepare"], Run(read_config(config, here)), True, "", silent())
    assert read_json(run_copy / "dataset" / "dataset.json")["name"] == "Songs"


def test_the_same_data_set_may_change(finished_run: Path, run_copy: Path, tmp_path: Path, cache: None) -> None:
    config, here = finished_run.parent / "toy.yaml", f"output={run_copy}"
    assert "k_core: 2 -> 3" in go(Run(read_config(config, [here, "dataset.k_core=3"])), "prepare")
    assert "name: Toy -> Renamed" in go(Run(read_config(config, [here, "dataset.name=Renamed"])), "prepare")
    data = shutil.copytree(finished_run.parent / "data", tmp_path / "data")
    moved = [here, f"dataset.source.path={data}"]
    go(Run(read_config(config, moved)), "prepare")
    for name in ("toy.inter", "toy.item", "toy.user"):
        text = (data / name).read_text()
        (data / name).write_text(
            text
            + {"toy.inter": "0\t77\t5\t2000\n1\t77\t5\t2000\n", "toy.item": "77\tNew\t2000\tDrama\n"}.get(
                name, "99\t9\tF\tx\t1\n"
            )
        )
    assert "running" in go(Run(read_config(config, moved)), "prepare")


def test_a_data_set_with_nothing_to_judge_by_is_refused_after_prepare(
    finished_run: Path, run_copy: Path, cache: None
) -> None:
    run = read_run(run_copy)
    marker = read_json(run_copy / "dataset" / "stage.json")
    marker["details"] |= {"test": 0, "users_with_test": 0}
    write_json(run_copy / "dataset" / "stage.json", marker)
    with pytest.raises(DataError, match="left none for test"):
        go(run)
    with pytest.raises(DataError, match="left none for test"):
        STAGES["prepare"].check_details(replace(run), {"valid": 3, "test": 0})
    STAGES["prepare"].check_details(run, {"valid": 3, "test": 3})
