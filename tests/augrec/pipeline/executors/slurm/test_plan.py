"""What is submitted, in which order, and the text of the scripts."""

from __future__ import annotations

import io
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from augrec.artefacts.errors import AugrecError, UsageError
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.executors.profile import JobResources, Profile
from augrec.pipeline.executors.slurm import controller, submit
from augrec.pipeline.executors.slurm.plan import Job, gpu_hours_in_words, plan
from augrec.pipeline.executors.slurm.script import directives, render
from augrec.pipeline.stages.base import Run
from recsys.models.options.mf_bpr import MfBprOptions
from tests.kit.toy_config import toy_config, write_config
from tests.kit.toy_run import silent

SECTIONS = """
generation:
  shards: 5
  sources:
    llm: {engine: {kind: vllm, model: nowhere, tensor_parallel: 2}}
    rule: {engine: {kind: heuristic}}
embedding: {}
seeds: [1, 2, 3]
workers: null
variants: {other: {model: popular}}
"""


@pytest.fixture
def new_run(tmp_path: Path) -> Run:
    (tmp_path / "raw").mkdir()
    config = write_config(tmp_path / "toy.yaml", toy_config(tmp_path / "raw", SECTIONS))
    return Run(read_config(config, [f"output={tmp_path / 'my run'}"]))


def profile(**values: object) -> Profile:
    return Profile.model_validate(values)


def names(run: Run, given: Profile, most: int = 1001) -> list[list[str]]:
    return [[job.name for job in level] for level in plan(run, given, most)]


def words(job: Job) -> list[str]:
    return [shlex.join(command) for task in job.tasks for command in task]


def test_a_new_run_is_the_whole_chain(new_run: Run) -> None:
    assert names(new_run, Profile()) == [
        ["prepare"],
        ["candidates"],
        ["augment-llm", "augment-rule"],
        ["merge"],
        ["embed-groups"],
        ["embed"],
        ["train"],
        ["report"],
    ]


def test_tasks_share_the_work_out(new_run: Run) -> None:
    given = profile(stages={"augment": {"shards_per_task": 2}, "train": {"trainings_per_task": 4}}, attempts=2)
    jobs = {job.name: job for level in plan(new_run, given, 1001) for job in level}
    assert words(jobs["augment-llm"]) == [
        f"augment --source llm --shards {shards} --attempts 2" for shards in ("0-1", "2-3", "4")
    ]
    assert words(jobs["embed-groups"]) == [f"embed --group {name} --attempts 2" for name in ("data", "llm", "rule")]
    assert words(jobs["train"]) == [
        "train --only popular/seed-1,popular/seed-2,popular/seed-3,other/seed-1 --attempts 2",
        "train --only other/seed-2,other/seed-3 --attempts 2",
    ]
    assert words(jobs["merge"]) == ["augment --merge"]
    assert words(jobs["report"]) == ["train", "report"]


def test_an_array_larger_than_the_cluster_allows_is_split(new_run: Run) -> None:
    given = profile(stages={"augment": {"throttle": 4}})
    found = plan(new_run, given, 2)[2]
    assert [job.name for job in found[:3]] == ["augment-llm-1", "augment-llm-2", "augment-llm-3"]
    assert [len(job.tasks) for job in found[:3]] == [2, 2, 1]
    assert [job.resources.throttle for job in found[:3]] == [1, 1, 1], "together no more than the throttle"
    assert sum(words(job) == [] for job in found) == 0


def test_gpus_follow_the_engine(new_run: Run) -> None:
    given = profile(defaults={"partition": "cpu"}, stages={"augment": {"partition": "gpu"}})
    llm, rule = plan(new_run, given, 1001)[2]
    assert (llm.resources.gpus, llm.resources.partition) == (2, "gpu")
    assert (rule.resources.gpus, rule.resources.partition) == (None, "cpu")
    with pytest.raises(UsageError, match="needs 2 GPUs"):
        plan(new_run, profile(stages={"augment": {"gpus": 1}}), 1001)
    assert plan(new_run, profile(stages={"augment": {"gpus": 0}}), 1001)[2][0].resources.gpus == 0


def test_nothing_is_left_of_a_finished_run(run_copy: Path, finished_run: Path) -> None:
    run = Run(read_config(finished_run / "config.yaml", [f"output={run_copy}"]))
    assert names(run, Profile()) == [], "where a run lies is no part of what it is made from"


def test_only_missing_trainings_are_submitted(run_copy: Path, finished_run: Path) -> None:
    run = Run(read_config(finished_run / "config.yaml", [f"output={run_copy}"]))
    (run_copy / "train" / "llmrec" / "seed-2" / "metrics.json").unlink()
    (level, *_) = plan(run, Profile(), 1001)
    assert words(level[0]) == ["train --only llmrec/seed-2 --attempts 3"]


def test_the_directives() -> None:
    asked = JobResources(
        partition="gpu", account="lab", gpus=2, gpu_type="h200", cpus=8, memory="64G", time="04:00:00", throttle=3,
        extra=("--exclusive",),
    )  # fmt: skip
    job = Job("augment-llm", "augment", [[["augment"]]] * 7, asked, True)
    assert directives(job, Profile(signal_before=120), run=Path("/data/50% of it"), chdir=Path("/home dir")) == [
        '--job-name="50% of it-augment-llm"',
        '--chdir="/home dir"',
        '--output="/data/50%% of it/slurm/logs/augment-llm-%A_%a.out"',
        "--open-mode=append",
        "--array=0-6%3",
        "--partition=gpu",
        "--account=lab",
        "--nodes=1",
        "--ntasks=1",
        "--cpus-per-task=8",
        "--mem=64G",
        "--gres=gpu:h200:2",
        "--time=04:00:00",
        "--signal=B:USR1@120",
        "--kill-on-invalid-dep=yes",
        "--requeue",
        "--exclusive",
    ]


WHERE = [
    "plain", "with space", "quote's", 'dou"ble', "dollar$HOME", "semi;colon", "Größe", "back`tick`", "back\\slash",
    "$(touch x)", "a&b|c>d", "star*?[x]", "~home", "-dash", "per%jcent", "bang!", "#comment",
]  # fmt: skip


@pytest.mark.parametrize("where", WHERE)
def test_the_script_hands_over_exactly_its_words(tmp_path: Path, where: str) -> None:
    """The script is run by bash, with a program that writes down its arguments."""
    folder = tmp_path / where
    (folder / "slurm" / "logs").mkdir(parents=True)
    program = folder / "env" / "bin" / "augrec"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/bash\nprintf "%s\\n" "$@" >> {shlex.quote(str(folder / "said"))}\n')
    program.chmod(0o755)
    given = Profile(venv=folder / "env", lines=("export MARK='a b'",), modules=())
    job = Job("a-b", "augment", [[["augment", "--source", "x y"]], [["train"], ["report"]]], JobResources(), True)
    text = render(job, given, run=folder, folder=folder / "slurm" / "001", chdir=tmp_path)
    environment = {
        "SLURM_ARRAY_TASK_ID": "1",
        "SLURM_ARRAY_JOB_ID": "17",
        "SLURM_JOB_ID": "18",
        "PATH": "/usr/bin:/bin",
    }
    done = subprocess.run(["bash"], input=text, env=environment, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    config = str(folder / "slurm" / "001" / "config.yaml")
    assert (folder / "said").read_text().splitlines() == ["train", config, "report", config]
    exits = (folder / "slurm" / "logs" / "exits.tsv").read_text().rstrip("\n").split("\t")
    assert exits[1:] == ["a-b", "17_1", "0", str(folder / "slurm" / "logs" / "a-b-17_1.out")]


@pytest.mark.parametrize("where", ["line\nbreak", "tab\there", "\x1b[2J", "\udcff"])
def test_a_path_that_a_script_cannot_hold_is_refused(where: str) -> None:
    job = Job("train", "train", [[["train"]]], JobResources(), False)
    with pytest.raises(UsageError, match="cannot stand in a batch script") as error:
        render(job, Profile(), run=Path("/r") / where, folder=Path("/r"), chdir=Path("/w"))
    assert str(error.value).isascii()


def test_a_container_binds_the_run_and_the_local_disk() -> None:
    given = profile(container={"image": "/i/a b.sif", "bind": ["/scratch:/s"]}, local_disk="$SLURM_TMPDIR/x")
    job = Job("augment-llm", "augment", [[["augment"]]], JobResources(gpus=1), True)
    text = render(job, given, run=Path("/r"), folder=Path("/r/slurm/001"), chdir=Path("/w"))
    expected = (
        "apptainer exec --nv --pwd /w --bind /w --bind /r --bind /scratch:/s "
        '--bind "$SLURM_TMPDIR/x" \'/i/a b.sif\' augrec "$@" &'
    )
    assert expected in text


def test_a_failed_submission_is_taken_back(new_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled: list[str] = []
    ids = iter(["1", "2"])

    def refuse(script: Path, after: list[str], folder: Path) -> str:
        for found in ids:
            return found
        raise AugrecError("sbatch refused the job: QOSMaxSubmitJobPerUserLimit")

    monkeypatch.setattr(controller, "submit", refuse)
    monkeypatch.setattr(controller, "cancel", cancelled.extend)
    with pytest.raises(AugrecError, match="QOSMaxSubmit"):
        submit.submit(new_run, Profile(max_array_size=10), dry_run=False, console=silent())
    assert cancelled == ["1", "2"]


def test_each_level_waits_for_all_jobs_before_it(new_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, list[str]]] = []

    def accept(script: Path, after: list[str], folder: Path) -> str:
        assert script.exists()
        calls.append((script.stem, list(after)))
        return str(len(calls))

    monkeypatch.setattr(controller, "submit", accept)
    submit.submit(new_run, Profile(max_array_size=1000), dry_run=False, console=silent())
    assert calls[:5] == [
        ("prepare", []),
        ("candidates", ["1"]),
        ("augment-llm", ["2"]),
        ("augment-rule", ["2"]),
        ("merge", ["3", "4"]),
    ]
    monkeypatch.setattr(controller, "queue", lambda: [controller.Queued("3", "N/A", "PENDING", "Dependency")])
    with pytest.raises(AugrecError, match="still waiting or running: 3"):
        submit.submit(new_run, Profile(max_array_size=9), dry_run=False, console=silent())


def test_models_in_closed_form_ask_for_no_gpu(new_run: Run) -> None:
    new_run.config.models["learned"] = MfBprOptions()
    new_run.config.variants["learned"] = new_run.config.variants["popular"].model_copy(update={"model": "learned"})
    gpu, small = {"gpus": 1, "partition": "gpu", "memory": "64G"}, {"partition": "cpu", "memory": "4G"}
    given = profile(defaults=small, stages={"train": {**gpu, "trainings_per_task": 9}, "candidates": gpu})
    jobs = {job.name: job for level in plan(new_run, given, 1001) for job in level}
    assert words(jobs["train"]) == [f"train --only {','.join(f'learned/seed-{n}' for n in (1, 2, 3))} --attempts 3"]
    assert len(words(jobs["train-no-gpu"])) == 1
    asked = {name: job.resources for name, job in jobs.items()}
    seen = {
        name: (asked[name].gpus, asked[name].partition, asked[name].memory)
        for name in jobs
        if "64G" in str(asked[name])
    }
    assert seen == {
        "train": (1, "gpu", "64G"),
        "train-no-gpu": (None, "cpu", "64G"),  # elsewhere, and as large
        "candidates": (None, "cpu", "64G"),
    }
    named = Run(
        new_run.config.model_copy(update={"training": new_run.config.training.model_copy(update={"device": "cuda"})})
    )
    jobs = {job.name: job for level in plan(named, given, 1001) for job in level}
    assert "train-no-gpu" not in jobs, "the config names a GPU"


def test_gpu_hours_are_those_of_time_limits_and_of_what_was_measured(new_run: Run) -> None:
    given = profile(
        stages={"augment": {"time": "03:00:00", "shards_per_task": 5}, "train": {"gpus": 1, "time": "06:00:00"}}
    )
    levels = plan(new_run, given, 1001)
    assert gpu_hours_in_words(levels) == ("GPU-hours: at most 6.0, were every task to run to its time limit once"), (
        "two GPUs for three hours; no model that is trained needs one"
    )
    known = [[replace(job, expected=1800.0) for job in level] for level in levels]
    assert gpu_hours_in_words(known).endswith("; about 1.0 by what finished pieces took")
    assert gpu_hours_in_words([level for level in levels if level[0].stage == "train"]) == "GPU-hours: none"


def test_a_dry_run_says_the_plan_first_and_writes_nothing(new_run: Run) -> None:
    shown = io.StringIO()
    submit.submit(new_run, Profile(max_array_size=9), dry_run=True, console=Console(file=shown, soft_wrap=True))
    first, rest = shown.getvalue().split("\n\n", 1)
    assert [line.split()[1] for line in first.splitlines()][:2] == ["prepare", "candidates"]
    assert first.splitlines()[-1].startswith("GPU-hours: at most ")
    assert rest.startswith("$ sbatch ")
    assert "--dependency=afterok:<augment-llm>:<augment-rule>" in shown.getvalue()
    assert not new_run.folder.exists()
