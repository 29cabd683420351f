"""A preview as a person reads it: the prompts first, what they take last."""

from __future__ import annotations

import json

from rich.console import Console

from augment.preview.questions import Shown, TaskPreview
from augrec.artefacts.counts import counted
from augrec.artefacts.memory import size_in_words
from augrec.pipeline.host.terminal import Kind, OpenTable
from augrec.pipeline.preview.estimate import SourceEstimate
from augrec.pipeline.preview.look import SourcePreview


def render(found: list[SourcePreview], console: Console) -> None:
    """Prompts first, what they take last."""
    for preview in found:
        model = f", {preview.model}" if preview.model else ""
        console.print(
            f"\nsource {preview.source} ({preview.engine}{model})", markup=False, highlight=False, style="bold"
        )
        for note in preview.notes:
            console.print(f"  note: {note}", markup=False, highlight=False)
        for task in preview.tasks:
            _render_task(task, console)
        if preview.estimate is not None:
            _render_estimate(preview, preview.estimate, console)


def _render_task(task: TaskPreview, console: Console) -> None:
    for stand_in in task.stand_ins:
        console.print(f"  {task.task}: not there yet; stand-in for {stand_in}", markup=False, highlight=False)
    for shown in task.shown:
        of_several = f", question {shown.question}" if shown.question else ""
        console.print(f"\n=== {task.task} about {task.about} {shown.entity}{of_several}", markup=False, highlight=False)
        for line in _lines(shown):
            console.print(line, markup=False, highlight=False)


def _lines(shown: Shown) -> list[str]:
    if shown.refused is not None:
        return [f"not asked: {shown.refused}"]
    lines = [part for message in shown.messages for part in (f"--- {message.role}", message.content)]
    if shown.text is not None:
        lines += ["--- as the model reads it", shown.text]
    dropped = f", {counted(shown.dropped_history, 'older item')} left out" if shown.dropped_history else ""
    orders = f", asked in {shown.orders} orders of its candidates" if shown.orders > 1 else ""
    lines.append(
        f"--- {counted(shown.prompt_tokens, 'token')}{dropped}{orders}; the answer at most {shown.most_tokens:,}"
    )
    if shown.labels:
        return [*lines, f"--- the probabilities of {', '.join(shown.labels)} are read, no text"]
    return [*lines, "--- schema of the answer", json.dumps(shown.schema, ensure_ascii=False, separators=(",", ":"))]


def _render_estimate(preview: SourcePreview, estimate: SourceEstimate, console: Console) -> None:
    sampled = max((task.sampled for task in preview.tasks), default=0)
    title = f"What {preview.source} takes, by a sample of {sampled}; tokens of a prompt and of an answer"
    rows = []
    for task in preview.tasks:
        _, mean, longest = task.prompt_tokens
        numbers = (task.requests, task.refused, round(mean), longest, round(task.written), task.most_written)
        about = counted(task.entities, task.about)
        rows.append((task.task, about, *(f"{number:,}" for number in numbers)))
    counts: dict[str, Kind] = dict.fromkeys(("requests", "refused", "prompt", "longest", "answer", "most"), "number")
    console.print(OpenTable({"task": "name", "about": "name", **counts}, rows, title=title))
    console.print(
        f"{counted(estimate.requests, 'request')}, {estimate.prompt_tokens:,.0f} tokens to read, "
        f"{estimate.written_tokens:,.0f} to write ({estimate.most_written:,} at most), "
        f"{size_in_words(estimate.bytes)} of records",
        markup=False, highlight=False,
    )  # fmt: skip
    console.print(f"time: {_time(estimate)}", markup=False, highlight=False)


def _time(estimate: SourceEstimate) -> str:
    return estimate.by if estimate.seconds is None else f"{duration(estimate.seconds)}, {estimate.by}"


def duration(seconds: float) -> str:
    """ "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"


def brief(found: list[SourcePreview]) -> list[str]:
    """Source, requests, tokens to read and to write, and seconds, a line for each source that asks."""
    lines = []
    for preview in found:
        if (estimate := preview.estimate) is not None:
            seconds = "unknown" if estimate.seconds is None else f"{estimate.seconds:.0f}"
            tokens = f"{estimate.prompt_tokens:.0f}\t{estimate.written_tokens:.0f}"
            lines.append(f"{preview.source}\t{estimate.requests}\t{tokens}\t{seconds}")
    return lines
