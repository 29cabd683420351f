"""What a source will take: requests, tokens, disk, and hours by a measured rate or by what a device can do at most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augment.accounting.model_figures import Figures
from augment.accounting.roofline import Load, Peaks, floor
from augment.preview.questions import TaskPreview
from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import read_json
from augrec.artefacts.run_folder import RunFolder


@dataclass(frozen=True)
class Measured:
    """What an earlier run took for the tasks of a source.

    Args:
        place: the run folder.
        device: what it ran on, where that is known.
        tasks: by name, of each `requests`, `attempts`, `seconds`, `prompt_tokens` and `completion_tokens`.
    """

    place: str
    device: str | None
    tasks: Mapping[str, Mapping[str, Any]]

    def written(self, task: str) -> float | None:
        """Mean tokens that were written for a request of a task; None where it was not asked."""
        known = self.tasks.get(task)
        return known["completion_tokens"] / known["requests"] if known else None

    def attempts(self, task: str) -> float:
        """How often a request of a task was asked on average; once where it was not asked then."""
        known = self.tasks.get(task)
        return max(1.0, known["attempts"] / known["requests"]) if known else 1.0

    def seconds(self, task: TaskPreview) -> float:
        """What as many requests of a task take; by tokens, read and written alike, where it was not asked then."""
        known = self.tasks.get(task.task)
        if known:
            return float(task.requests * known["seconds"] / known["requests"])
        tokens = sum(each["prompt_tokens"] + each["completion_tokens"] for each in self.tasks.values())
        rate = sum(each["seconds"] for each in self.tasks.values()) / tokens
        return task.requests * (task.prompt_tokens[1] + task.written) * rate


@dataclass(frozen=True)
class SourceEstimate:
    """A source as a whole.

    Args:
        requests: that are asked.
        prompt_tokens: of all of them.
        written_tokens: as long as answers were in an earlier run, else as they are guessed to be.
        most_written: if every answer were as long as it may be.
        bytes: of records on the disk.
        seconds: of generating, None where no rate is known.
        by: how the seconds come about, or why there are none.
    """

    requests: int
    prompt_tokens: float
    written_tokens: float
    most_written: int
    bytes: float
    seconds: float | None
    by: str


def read_measured(run: Path, source: str, model: str | None) -> Measured | None:
    """What a run took for a source of this name, else for one of the same model; None where it says nothing of either.

    Args:
        run: its folder.
        source: the name.
        model: that the source's engine is asked for.

    Raises:
        DataError: its summary is damaged.
    """
    path = RunFolder(run).summary
    if not path.exists():
        return None
    sources = read_json(path).get("sources") or {}
    named = [sources[source]] if source in sources else []
    alike = [other for other in sources.values() if model and (other.get("engine") or {}).get("model") == model]
    for found in (*named, *alike):
        tasks = {
            name: task for name, task in found["tasks"].items() if task.get("seconds") and task.get("completion_tokens")
        }
        if tasks:
            return Measured(str(run), (found.get("engine") or {}).get("device"), tasks)
    return None


def require_measured(run: Path, source: str, model: str | None) -> Measured:
    """The same where a user names the run.

    Raises:
        UsageError: there is nothing to go by.
    """
    measured = read_measured(run, source, model)
    if measured is None:
        raise UsageError(
            f"the run has no measured time of '{source}', nor of the same model",
            where=RunFolder(run).summary,
            remedy="name a run whose stage augment was finished by a language model",
        )
    return measured


def estimate(
    tasks: Sequence[TaskPreview], measured: Measured | None, bound: tuple[Figures, Peaks, int, int] | None, unknown: str
) -> SourceEstimate:
    """The sum over tasks.

    Args:
        tasks: as they were previewed.
        measured: an earlier run's times, which go before all else.
        bound: else the model, one device's peaks, how many devices, and how many requests are computed at once.
        unknown: what is said of the time where there is neither.
    """
    written = [
        task.requests * (task.written if measured is None else measured.written(task.task) or task.written)
        for task in tasks
    ]
    prompts = [
        task.requests * task.prompt_tokens[1] * (1.0 if measured is None else measured.attempts(task.task))
        for task in tasks
    ]
    seconds, by = None, unknown
    if measured is not None:
        seconds = sum(measured.seconds(task) for task in tasks)
        by = f"as fast as in {measured.place}" + (f", on {measured.device}" if measured.device else "")
    elif bound is not None:
        model, peaks, devices, batch = bound
        together = Peaks(peaks.flops * devices, peaks.bytes_per_second * devices, peaks.source)
        loads = [
            Load(task.requests, round(prompt), 0, round(tokens))
            for task, prompt, tokens in zip(tasks, prompts, written, strict=True)
        ]
        requests = max(1, sum(task.requests for task in tasks))
        seconds = floor(model, loads, together, min(batch, requests)).serial
        by = (
            f"at least: what {devices} of the device can do at most ({peaks.source}), prompts and answers one after "
            "the other, without the prefix cache; real engines take longer"
        )
    return SourceEstimate(
        requests=sum(task.requests for task in tasks),
        prompt_tokens=sum(prompts),
        written_tokens=sum(written),
        most_written=sum(task.requests * task.most_written for task in tasks),
        bytes=sum(task.bytes for task in tasks),
        seconds=seconds,
        by=by,
    )
