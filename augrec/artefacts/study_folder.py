"""Where a study (an experiment, or a comparison) and the search inside of it keep their files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from augrec.artefacts.run_folder import TrainingFolder

TABLES, PLOTS = "tables", "plots"
OWN_FOLDERS = (TABLES, PLOTS)
"""What lies in an experiment's folder beside those of its data sets."""
IMPORTED = "imported.json"
"""Written last into the folder of an import: what it was made from."""


@dataclass(frozen=True)
class ExperimentFolder:
    """One experiment; its runs lie in folders of their own below."""

    root: Path

    @property
    def options(self) -> Path:
        """The experiment as it was read."""
        return self.root / "experiment.yaml"

    @property
    def failures(self) -> Path:
        """What failed, and why."""
        return self.root / "failures.json"

    @property
    def results(self) -> Path:
        """The numbers of all tables."""
        return self.root / "results.json"

    @property
    def page(self) -> Path:
        """The page."""
        return self.root / "index.html"

    @property
    def markdown(self) -> Path:
        """The page's text and tables as Markdown."""
        return self.root / "index.md"

    @property
    def tables(self) -> Path:
        """The folder of tables, each as CSV, Markdown and LaTeX."""
        return self.root / TABLES

    @property
    def trials_csv(self) -> Path:
        """Every trial of every search, with full precision."""
        return self.tables / "trials.csv"

    @property
    def plots(self) -> Path:
        """The folder of plots."""
        return self.root / PLOTS

    def run(self, dataset: str, setting: str) -> Path:
        """The folder of one of its runs."""
        return self.root / dataset / setting


@dataclass(frozen=True)
class ComparisonFolder:
    """One comparison. Its run lies in the same folder."""

    root: Path

    @property
    def options(self) -> Path:
        """The comparison as it was read."""
        return self.root / "compare.yaml"

    @property
    def results(self) -> Path:
        """Every measure of the comparison."""
        return self.root / "compare.json"

    @property
    def markdown(self) -> Path:
        """The page's text and tables as Markdown."""
        return self.root / "compare.md"

    @property
    def page(self) -> Path:
        """The page."""
        return self.root / "index.html"

    @property
    def tables(self) -> Path:
        """The tables of the page as CSV, Markdown and LaTeX."""
        return self.root / TABLES

    def published(self, name: str) -> Path:
        """The import of a published release."""
        return self.root / "published" / name


@dataclass(frozen=True)
class TrialFolder:
    """One trial of a search: a training for each of the search's seeds."""

    root: Path

    def training(self, seed: int) -> TrainingFolder:
        """The folder of its training with a search seed, there or not."""
        return TrainingFolder(self.root / f"seed-{seed}")

    def trainings(self) -> list[TrainingFolder]:
        """Those that have a folder, finished or not."""
        return [TrainingFolder(path) for path in sorted(self.root.glob("seed-*")) if path.is_dir()]

    @property
    def failure(self) -> Path:
        """Why it failed."""
        return self.root / "failed.json"


@dataclass(frozen=True)
class SearchFolder:
    """The trials of one model, `search/<model>/` in a run."""

    root: Path

    @property
    def journal(self) -> Path:
        """What was drawn and what came of it, of searches that draw."""
        return self.root / "journal.log"

    @property
    def trials_csv(self) -> Path:
        """Every trial with its options and value, for a person."""
        return self.root / "trials.csv"

    @property
    def best(self) -> Path:
        """The options that were chosen."""
        return self.root / "best.json"

    def trial(self, position: int) -> TrialFolder:
        """The folder of one trial, there or not."""
        return TrialFolder(self.root / f"trial-{position:03d}")

    def trials(self) -> list[TrialFolder]:
        """Those that have a folder, in order."""
        return [TrialFolder(path) for path in sorted(self.root.glob("trial-*")) if path.is_dir()]
