"""A stage that is invented in this file alone is run, shared out, stopped, resumed, planned and has a command."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.files import digest, read_json, read_parquet, write_json
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.executors.chain import run_all
from augrec.pipeline.executors.commands import register
from augrec.pipeline.executors.local import Local
from augrec.pipeline.executors.profile import read_profile
from augrec.pipeline.executors.share import check_done, do_share
from augrec.pipeline.executors.slurm.plan import Job, plan
from augrec.pipeline.executors.slurm.script import render
from augrec.pipeline.executors.slurm.status import collect
from augrec.pipeline.host.attempts import Attempts
from augrec.pipeline.host.stopping import Stopped
from augrec.pipeline.stages import STAGES, chain
from augrec.pipeline.stages.base import Piece, Resources, Run, Stage, Worker
from tests.kit.toy_config import toy_config
from tests.kit.toy_data import write_toy_data
from tests.kit.toy_run import advance, open_run, silent

SECTIONS = """
evaluation: {cutoffs: [5]}
training: {monitor: recall@5}
report: {primary: recall@5, secondary: []}
"""
PARTS = 5


class Tally(Stage):
    """Counts interactions in parts, then every part's share of all of them."""

    name = "tally"
    help = "Count the interactions in parts."
    after = ("prepare",)
    environment = "counting"
    pieces_name = "parts"
    resources = Resources(per_task="parts_per_task", per_task_default=2, per_task_help="Parts of one job.")

    def section(self, run: Run) -> dict[str, Any]:
        return {"parts": PARTS}

    def pieces(self, run: Run, *, known: bool = True) -> list[Piece]:
        fingerprint = digest(self.identity(run)) if known else None
        return [
            Piece(
                self.name,
                group,
                part,
                f"{group}-{part}",
                Attempts(self._path(run, group, part, "log"), fingerprint),
                wave,
            )
            for wave, group in enumerate(("count", "share"))
            for part in range(PARTS)
        ]

    @contextmanager
    def worker(self, run: Run, group: str) -> Iterator[Worker]:
        yield Counter(self, run)

    def _path(self, run: Run, group: str, part: int, suffix: str) -> Path:
        return self.folder(run) / group / f"{part}.{suffix}"

    def counted(self, run: Run, part: int) -> int:
        return int(read_json(self._path(run, "count", part, "json"))["count"])

    def do(self, run: Run, piece: Piece) -> int:
        if (self.folder(run) / "stop").exists() and piece.number == 1:
            os.kill(os.getpid(), signal.SIGUSR1)
        if piece.group == "count":
            users = read_parquet(run.folder / "dataset" / "interactions.parquet")["user"].to_numpy()
            content: dict[str, Any] = {"count": int((users % PARTS == piece.number).sum())}
        else:
            total = sum(self.counted(run, part) for part in range(PARTS))
            content = {"share": self.counted(run, piece.number) / total}
        write_json(self._path(run, piece.group, piece.number, "json"), content | {"by": os.getpid()})
        return 1

    def finish(self, run: Run) -> dict[str, Any]:
        for piece in self.pieces(run):
            if not piece.done():
                self.do(run, piece)
        shares = [read_json(self._path(run, "share", part, "json"))["share"] for part in range(PARTS)]
        return {"counted": sum(self.counted(run, part) for part in range(PARTS)), "shares": shares}

    def outputs(self, run: Run) -> Iterable[Path]:
        return [self._path(run, group, part, "json") for group in ("count", "share") for part in range(PARTS)]


class Counter(Worker):
    def __init__(self, stage: Tally, run: Run) -> None:
        self._stage, self._run = stage, run

    def do(self, piece: Piece) -> int:
        return self._stage.do(self._run, piece)


class Optional(Tally):
    """Only in runs that generate something."""

    name = "optional"
    section_name = "generation"


@pytest.fixture
def stage() -> Iterator[Tally]:
    invented = Tally()
    with STAGES.including(invented):
        yield invented


@pytest.fixture(scope="module")
def others_done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a config, and a run of it in which every stage that the program has is finished."""
    root = tmp_path_factory.mktemp("tally")
    advance(open_run(root, toy_config(write_toy_data(root / "data"), SECTIONS)))
    return root


@pytest.fixture
def run(stage: Tally, others_done: Path, tmp_path: Path) -> Run:
    """A run whose other stages are finished, but for the report, which has not seen the invented one."""
    shutil.copytree(others_done / "run", tmp_path / "run")
    return Run(read_config(others_done / "toy.yaml", [f"output={tmp_path / 'run'}"]))


def state(run: Run, stage: Tally, group: str) -> list[str]:
    return [piece.attempts.state().outcome for piece in stage.pieces(run) if piece.group == group]


@pytest.mark.parametrize("workers", [None, 2])
def test_it_runs_in_the_chain(stage: Tally, run: Run, workers: int | None) -> None:
    run_all(run, console=silent(), executor=Local(workers))
    assert [member.name for member in chain(run.config)][-3:] == ["train", "tally", "report"]
    marker = stage.marker(run)
    assert marker is not None
    assert marker.details["counted"] == len(read_parquet(run.folder / "dataset" / "interactions.parquet"))
    assert sum(marker.details["shares"]) == pytest.approx(1)
    assert "tally" in read_json(run.folder / "report" / "stage.json")["identity"]["inputs"], "the report comes after it"
    processes = {read_json(path)["by"] for path in stage.outputs(run)}
    assert (processes == {os.getpid()}) == (workers is None)
    done = [] if workers is None else ["done"] * PARTS
    assert [outcome for outcome in state(run, stage, "count") if outcome != "new"] == done
    run_all(run, console=(console := silent()))
    assert console.file.getvalue().count("skipped, unchanged") == len(chain(run.config))  # type: ignore[attr-defined]


def test_a_wave_waits_for_the_one_before_it(stage: Tally, run: Run) -> None:
    with pytest.raises(AugrecError, match="reads what other pieces make, and they are not done: count 0-4"):
        do_share(run, stage, {"only": "share-0"}, console=silent())
    do_share(run, stage, {"only": "share-0," + ",".join(f"count-{part}" for part in range(PARTS))}, console=silent())
    assert state(run, stage, "share") == ["done", "new", "new", "new", "new"]
    with pytest.raises(AugrecError, match=r"these parts are not done yet: share 1-4(.|\n)*--only"):
        check_done(run, stage)


def test_a_stop_keeps_what_is_done(stage: Tally, run: Run) -> None:
    names = {"only": ",".join(f"count-{part}" for part in range(PARTS))}
    write_json(run.folder / "tally" / "stop", {})
    with pytest.raises(Stopped, match="SIGUSR1"), run.stop.listening():
        do_share(run, stage, names, console=silent())
    assert state(run, stage, "count") == ["done", "stopped", "new", "new", "new"]
    first = read_json(run.folder / "tally" / "count" / "0.json")
    (run.folder / "tally" / "stop").unlink()
    again = Run(run.config)
    do_share(again, stage, names, console=silent())
    assert state(again, stage, "count") == ["done"] * PARTS
    assert read_json(run.folder / "tally" / "count" / "0.json") == first
    rows = {row.group: (row.done, row.missing) for row in collect(again) if row.stage == "tally" and row.group}
    assert rows == {"count": (5, ""), "share, wave 1": (0, "0-4")}


def jobs(run: Run, tmp_path: Path, text: str) -> list[list[Job]]:
    (tmp_path / "profile.toml").write_text(text)
    return plan(run, read_profile(tmp_path / "profile.toml"), 1000)


def test_a_cluster_runs_its_waves_in_its_environment(stage: Tally, run: Run, tmp_path: Path) -> None:
    text = f"""
    [environments.counting]
    venv = "{tmp_path / "counting"}"
    [stages.tally]
    parts_per_task = 3
    memory = "1G"
    """
    levels = jobs(run, tmp_path, text)
    named = [[job.name for job in level] for level in levels]
    assert named == [["tally-pieces"], ["tally-pieces-wave-1"], ["tally"], ["report"]]
    (job,) = levels[0]
    assert job.tasks == [
        [["tally", "--only", "count-0,count-1,count-2", "--attempts", "3"]],
        [["tally", "--only", "count-3,count-4", "--attempts", "3"]],
    ]
    assert job.resources.memory == "1G"
    profile = read_profile(tmp_path / "profile.toml")
    script = render(job, profile, run=run.folder, folder=run.folder / "slurm" / "001", chdir=tmp_path)
    assert f'{tmp_path / "counting" / "bin" / "augrec"} "$@" &' in script
    assert "counting" not in render(levels[-1][0], profile, run=run.folder, folder=run.folder, chdir=Path("/w"))
    with pytest.raises(UsageError, match=r"needs the Python environment 'counting'(.|\n)*environments.counting"):
        jobs(run, tmp_path, "[stages.tally]\nmemory = '1G'")


def test_it_has_a_command(stage: Tally, run: Run, others_done: Path) -> None:
    app = typer.Typer(rich_markup_mode=None)
    register(app)
    config = [str(others_done / "toy.yaml"), f"output={run.folder}"]
    assert "Count the interactions in parts." in CliRunner().invoke(app, ["--help"]).output
    assert "--only" in CliRunner().invoke(app, ["tally", "--help"]).output
    done = CliRunner().invoke(app, ["tally", *config, "--only", "count-0"])
    assert done.exit_code == 0, done.output
    assert "tally count-0: done" in done.output
    refused = CliRunner().invoke(app, ["tally", *config, "--only", "count-7"])
    assert isinstance(refused.exception, UsageError)
    assert CliRunner().invoke(app, ["tally", *config]).exit_code == 0
    assert stage.marker(run) is not None


def test_a_stage_whose_section_is_missing_is_not_in_the_chain(run: Run) -> None:
    with STAGES.including(Optional()):
        assert "optional" not in [stage.name for stage in chain(run.config)]
        generating = run.config.model_copy(update={"generation": True})
        assert "optional" in [stage.name for stage in chain(generating)]
