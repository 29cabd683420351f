"""Where everything lies inside a run folder. Nobody else joins these names by hand.

The parts (a data set, a source, a task, a training) also exist outside of runs, in what imports write; each has a class
of its own, so that a reader takes the part it reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from augrec.artefacts.base_folder import BaseFolder
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json, write_json
from augrec.artefacts.names import suggestion
from augrec.artefacts.source_folder import RECORDS, SourceFolder
from augrec.artefacts.tune_folder import TuneFolder

LAYOUT = 2
"""Counts the layouts of a run folder; 1 had no file that says so."""
MARKER = "stage.json"
"""Written last by a stage, into its folder."""
FAILURES = "failures.json"
"""The pieces of a stage that failed, by name, with what went wrong; in its folder."""
CONFIG = "config.yaml"
"""The resolved config of a run."""
LOCK = ".lock"
"""To hold while a folder is worked on."""
TRAINING = re.compile(r"seed-(\d+)")


@dataclass(frozen=True)
class DatasetFolder:
    """A prepared data set."""

    root: Path

    @property
    def interactions(self) -> Path:
        """Interactions with their split, one a row."""
        return self.root / "interactions.parquet"

    @property
    def items(self) -> Path:
        """Items by id: id in the source, title and whatever the source says of them."""
        return self.root / "items.parquet"

    @property
    def users(self) -> Path:
        """Users by id: id in the source."""
        return self.root / "users.parquet"

    def side_table(self, about: Literal["user", "item"]) -> Path:
        """The table of users or of items."""
        return self.users if about == "user" else self.items

    @property
    def about(self) -> Path:
        """Written last: a folder without it is not a data set."""
        return self.root / "dataset.json"

    @property
    def files(self) -> tuple[Path, Path, Path, Path]:
        """All of them."""
        return self.interactions, self.items, self.users, self.about


@dataclass(frozen=True)
class TrainingFolder:
    """One variant trained with one seed, or one member of a blend."""

    root: Path

    @property
    def metrics(self) -> Path:
        """Written last: a training without it has not finished."""
        return self.root / "metrics.json"

    @property
    def per_user(self) -> Path:
        """The values of the test metrics for every user that was judged."""
        return self.root / "per_user.parquet"

    @property
    def model(self) -> Path:
        """The weights of the epoch that was chosen."""
        return self.root / "model.safetensors"

    @property
    def log(self) -> Path:
        """What the training said, epoch by epoch."""
        return self.root / "train.log"

    @property
    def attempts(self) -> Path:
        """When it was begun, stopped, failed and done, one event a line."""
        return self.root / "attempts.jsonl"

    @property
    def tracked(self) -> Path:
        """Which trackers were told of it."""
        return self.root / "tracked.json"

    @property
    def noise(self) -> Path:
        """The false interactions that it was trained on beside those of the data set, where it was."""
        return self.root / "noise.parquet"

    @property
    def lists(self) -> Path:
        """The ranked lists of the test users."""
        return self.root / "lists.parquet"

    def member(self, name: str) -> TrainingFolder:
        """One of a blend's members, or of the trials of a tuned model."""
        return TrainingFolder(self.root / "members" / name)


@dataclass(frozen=True)
class RerankingFolder:
    """What one training lists on a split, and what a language model says of it."""

    root: Path

    @property
    def lists(self) -> Path:
        """What the training lists for every user, or how it rates every pair, see `augrec.artefacts.ranked_lists`."""
        return self.root / "lists.parquet"

    @property
    def answers(self) -> SourceFolder:
        """What was asked of the first items of these lists, by task."""
        return SourceFolder(self.root)

    @property
    def summary(self) -> Path:
        """What was counted while asking, by the runner of sources."""
        return self.root / "summary.json"

    @property
    def attempts(self) -> Path:
        """When it was begun, stopped, failed and done, one event a line."""
        return self.root / "attempts.jsonl"


@dataclass(frozen=True)
class SubmissionFolder:
    """What was handed to SLURM at once."""

    root: Path

    @property
    def config(self) -> Path:
        """The config that its jobs read."""
        return self.root / "config.yaml"

    @property
    def jobs(self) -> Path:
        """The jobs' ids."""
        return self.root / "jobs.json"

    def script(self, job: str) -> Path:
        """The batch script of a job."""
        return self.root / f"{job}.sbatch"


@dataclass(frozen=True)
class RunFolder:
    """One run: the output of every stage of one config."""

    root: Path

    @property
    def config(self) -> Path:
        """The resolved config."""
        return self.root / CONFIG

    @property
    def dataset(self) -> Path:
        """The folder of the prepared data set."""
        return self.root / "dataset"

    @property
    def interactions(self) -> Path:
        """See `DatasetFolder.interactions`."""
        return DatasetFolder(self.dataset).interactions

    @property
    def items(self) -> Path:
        """See `DatasetFolder.items`."""
        return DatasetFolder(self.dataset).items

    @property
    def users(self) -> Path:
        """See `DatasetFolder.users`."""
        return DatasetFolder(self.dataset).users

    @property
    def dataset_json(self) -> Path:
        """See `DatasetFolder.about`."""
        return DatasetFolder(self.dataset).about

    @property
    def candidates(self) -> Path:
        """The candidates of every user, best first, one a row."""
        return self.root / "candidates" / "candidates.parquet"

    @property
    def candidates_model(self) -> TrainingFolder:
        """The recommender that the candidates are of."""
        return TrainingFolder(self.root / "candidates" / "base")

    @property
    def base(self) -> BaseFolder:
        """The base recommender, which hints are made by."""
        return BaseFolder(self.root / "base")

    def base_trainings(self) -> list[TrainingFolder]:
        """The trainings of the base recommender that have a folder, finished or not."""
        return [TrainingFolder(path) for path in sorted(self.base.trainings.glob("*")) if path.is_dir()]

    @property
    def tune(self) -> TuneFolder:
        """The instruction tuning of the language model."""
        return TuneFolder(self.root / "tune")

    @property
    def augment(self) -> Path:
        """The folder of all sources' answers."""
        return self.root / "augment"

    @property
    def summary(self) -> Path:
        """What the augment stage counted."""
        return self.augment / "summary.json"

    def source(self, name: str) -> SourceFolder:
        """The folder of a source's answers, there or not."""
        return SourceFolder(self.augment / name)

    def sources(self) -> list[SourceFolder]:
        """Those with merged records, in order of their names."""
        roots = {path.parent.parent for path in self.augment.glob(f"*/*/{RECORDS}")}
        return [SourceFolder(root) for root in sorted(roots)]

    @property
    def embed(self) -> Path:
        """The folder of all matrices, with one for each source, for the items' own texts, and for given features."""
        return self.root / "embed"

    @property
    def embed_summary(self) -> Path:
        """Which matrices the config names."""
        return self.embed / "summary.json"

    def group(self, name: str) -> Path:
        """The matrices of a source, of the data's own text, or of features that were brought along."""
        return self.embed / name

    def group_attempts(self, name: str) -> Path:
        """The attempts on a group."""
        return self.embed / f"{name}.jsonl"

    def attempted_groups(self) -> dict[str, Path]:
        """Group -> its attempts, as far as they are there."""
        return {path.stem: path for path in sorted(self.embed.glob("*.jsonl"))}

    def matrix(self, group: str, field: str) -> Path:
        """A matrix without its suffix, see `augrec.artefacts.matrices`."""
        return self.group(group) / field

    @property
    def train(self) -> Path:
        """The folder of all trainings."""
        return self.root / "train"

    def training(self, variant: str, seed: int) -> TrainingFolder:
        """The folder of a variant's training with a seed, there or not."""
        return TrainingFolder(self.train / variant / f"seed-{seed}")

    def trainings(self) -> list[TrainingFolder]:
        """The folders of all trainings, finished or not, in order of their variants and seeds."""
        variants = sorted(path.name for path in self.train.glob("*") if path.is_dir())
        return [self.training(variant, seed) for variant in variants for seed in self.seeds(variant)]

    def seeds(self, variant: str) -> list[int]:
        """The seeds a variant has folders of, finished or not."""
        numbers = (TRAINING.fullmatch(path.name) for path in (self.train / variant).glob("seed-*"))
        return sorted(int(number[1]) for number in numbers if number)

    @property
    def rerank(self) -> Path:
        """The folder of all that was asked of trainings' lists, and of the rows that were made of it."""
        return self.root / "rerank"

    def reranking(self, variant: str, seed: int, split: Literal["valid", "test"]) -> RerankingFolder:
        """What a variant's training with a seed lists on a split, and what is said of it; there or not."""
        return RerankingFolder(self.rerank / variant / f"seed-{seed}" / split)

    def reranked(self, row: str, seed: int) -> TrainingFolder:
        """The results of a row that re-ranking makes, such as `lightgcn+ranking`; no variant is called so."""
        return TrainingFolder(self.rerank / row / f"seed-{seed}")

    @property
    def rerank_summary(self) -> Path:
        """What every row of re-ranking was made with: weights, counts of answers, agreement."""
        return self.rerank / "summary.json"

    def recommendations(self, name: str) -> Path:
        """A file of lists that somebody asked for."""
        return self.root / "recommendations" / name

    @property
    def report(self) -> Path:
        """The folder of the page and its numbers."""
        return self.root / "report"

    @property
    def page(self) -> Path:
        """The page."""
        return self.report / "index.html"

    @property
    def report_tables(self) -> Path:
        """The tables of the page as CSV, Markdown and LaTeX."""
        return self.report / "tables"

    @property
    def checklist(self) -> Path:
        """What the folder answers of what a reader needs to repeat the run, as Markdown."""
        return self.report / "checklist.md"

    @property
    def results(self) -> Path:
        """The page's numbers."""
        return self.report / "results.json"

    @property
    def audit_json(self) -> Path:
        """What every check of the audit found."""
        return self.root / "audit.json"

    @property
    def tensorboard(self) -> Path:
        """The event files of TensorBoard, a folder for each training."""
        return self.root / "tensorboard"

    @property
    def log(self) -> Path:
        """Every line that was said of the run, command by command."""
        return self.root / "run.log"

    @property
    def at_work(self) -> Path:
        """The folder of what processes are at, see `augrec.artefacts.run_log`."""
        return self.root / ".at-work"

    @property
    def seconds(self) -> Path:
        """What each stage took when it last ran."""
        return self.root / ".seconds.json"

    @property
    def alignment(self) -> Path:
        """What probes of texts found, by the content of texts and interactions; may be deleted."""
        return self.root / "alignment.json"

    @property
    def slurm(self) -> Path:
        """Job scripts and logs."""
        return self.root / "slurm"

    @property
    def job_logs(self) -> Path:
        """What jobs said, and how each ended."""
        return self.slurm / "logs"

    @property
    def job_exits(self) -> Path:
        """One line per job and array task that ended."""
        return self.job_logs / "exits.tsv"

    def submission(self, name: str) -> SubmissionFolder:
        """The folder of one submission to a cluster, there or not."""
        return SubmissionFolder(self.slurm / name)

    def submissions(self) -> list[SubmissionFolder]:
        """Those that were handed to SLURM, the oldest first."""
        return [SubmissionFolder(path) for path in sorted(self.slurm.glob("[0-9]*")) if path.is_dir()]

    @property
    def search(self) -> Path:
        """Trials of searches for options, a folder for each model, see `augrec.artefacts.study_folder`."""
        return self.root / "search"

    def error_log(self, step: str) -> Path:
        """Where a step of a study failed in a way that nobody foresaw."""
        return self.root / f"{step}-error.log"

    def stage_marker(self, folder: str) -> Path:
        """The completion marker of the stage that writes `folder`, e.g. "augment"."""
        return self.root / folder / MARKER

    def stage_markers(self) -> list[Path]:
        """The completion markers of all stages that have one, by the names of their folders."""
        return sorted(self.root.glob(f"*/{MARKER}"))

    @property
    def layout(self) -> Path:
        """Says which layout the folder has."""
        return self.root / "layout.json"

    def check_layout(self) -> None:
        """Raises DataError where the folder holds a run of another layout than this version writes and reads."""
        remedy = "run the config again with another `output`, or remove this folder first; to keep its results " \
                 "readable, keep the version of augrec that wrote it"  # fmt: skip
        if self.layout.exists():
            written = read_json(self.layout, remedy="delete this file if the folder is a new run's")
            layout = written.get("layout") if isinstance(written, dict) else None
            if layout == LAYOUT:
                return
            what = f"the run folder has layout {layout!r}, this version reads and writes {LAYOUT}"
            raise DataError(what, where=self.root, remedy=remedy)
        if self.stage_markers():
            what = "this run was made by an older version of augrec, whose folders are laid out differently"
            raise DataError(what, where=self.root, remedy=remedy)

    def begin(self) -> None:
        """Checks the layout, and says which one it is where the folder is new."""
        self.check_layout()
        if not self.layout.exists():
            write_json(self.layout, {"layout": LAYOUT})


def nearest_run(folder: Path) -> str:
    """ "did you mean 'x'? " with the run beside a folder that is called most alike, see `suggestion`."""
    return suggestion(folder.name, [run.parent.name for run in folder.absolute().parent.glob(f"*/{CONFIG}")])
