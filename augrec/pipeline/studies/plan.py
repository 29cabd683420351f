"""What a study runs: cells, each of which is one run, and what every kind of study can say of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from augrec.artefacts.files import write_text
from augrec.pipeline.config.run_config import Config
from augrec.pipeline.studies.search.subject import Subject, Values


@dataclass(frozen=True)
class Cell:
    """One run of a study: a data set with a setting."""

    dataset: str
    setting: str
    config: Config

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.config.folder

    @property
    def name(self) -> str:
        """The name of its folder below the study's, and in messages."""
        return f"{self.dataset}/{self.setting}"


class Plan(ABC):
    """A study that was read and checked: an experiment, or a comparison."""

    cells: list[Cell]

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Where it writes."""

    @abstractmethod
    def tuned(self, cell: Cell, options: Mapping[str, Values]) -> Config:
        """The config of a cell with options that a search chose, by model."""

    def subject(self, cell: Cell, model: str, variant: str, seeds: tuple[int, ...]) -> Subject:
        """A model as a search tries it: with the features and edges of a variant, and seeds that nobody reports."""

        def config(options: Values) -> Config:
            return self.tuned(cell, {model: options})

        return Subject(model, variant, seeds, config)


def save_as_read(what: str, options: Mapping[str, Any], path: Path) -> None:
    """Writes down a study as it was read, for whoever looks at its folder.

    Args:
        what: "experiment" or "comparison".
        options: its sections, the base filled in.
        path: the YAML file.
    """
    text = yaml.safe_dump(dict(options), sort_keys=False, allow_unicode=True, width=110)
    write_text(path, f"# The {what} as it was read; written by augrec, edits are not read.\n{text}")
