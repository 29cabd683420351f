"""How long prompts and answers are, per source and task, and how much of the room for them is used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from augrec.artefacts.named import named_records
from augrec.artefacts.records import read_records
from augrec.report.render.svg import INK, MUTED, SERIES, inline_svg, page_style
from augrec.report.render.wording import count, counted, percent

COLUMNS = ("prompt_tokens", "completion_tokens", "attempt")
BINS = 24


@dataclass(frozen=True)
class TokenLengths:
    """Lengths in tokens of the prompts or answers of one source and task.

    Args:
        source: who wrote.
        task: what was asked.
        what: "prompt" or "answer".
        lengths: [n] tokens, one number per request: the mean over its attempts, and over the prompts of one attempt.
        room: the most there can be, None where nobody recorded it.
        room_is: what that is.
    """

    source: str
    task: str
    what: str
    lengths: np.ndarray
    room: int | None
    room_is: str

    @property
    def title(self) -> str:
        """The heading of the plot."""
        return f"{self.task.replace('_', ' ')}: {self.what}s"

    def at(self, share: float) -> float:
        """The length that this share of the requests does not exceed; one that occurs."""
        return float(np.quantile(self.lengths, share, method="inverted_cdf"))

    @property
    def told(self) -> str:
        """The figure in words."""
        room = ""
        if self.room:
            room = f"; the longest fills {percent(self.at(1) / self.room)} of {count(self.room)} ({self.room_is})"
        return f"median {_tokens(self.at(0.5))}, 95\u00a0% up to {_tokens(self.at(0.95))} tokens{room}"

    @property
    def cells(self) -> tuple[str, ...]:
        """The table's row: how many, median, 95th percentile, longest; the room there is, and the share used."""
        room = (count(self.room), percent(self.at(1) / self.room)) if self.room else ("–", "–")
        return (
            count(len(self.lengths)), _tokens(self.at(0.5)), _tokens(self.at(0.95)), _tokens(self.at(1)), *room
        )  # fmt: skip


def read_spreads(run: Path, sources: dict[str, dict[str, Any]]) -> list[TokenLengths]:
    """Of every records.parquet whose requests cost tokens.

    Args:
        run: the run folder.
        sources: the sources of augment/summary.json, for the context and for the longest answer of a task.
    """
    found = []
    for source, summary in sources.items():
        for path in named_records(run, source):
            table = read_records(path, columns=COLUMNS).table
            if not set(COLUMNS) <= set(table.column_names):
                continue
            prompt, answer, attempt = (table[name].to_numpy().astype(np.float64) for name in COLUMNS)
            asked = (prompt > 0) & (attempt > 0)
            if not asked.any():
                continue
            task = path.parent.name
            context = (summary.get("engine") or {}).get("max_model_len")
            numbers = (summary.get("tasks") or {}).get(task) or {}
            longest, prompts = numbers.get("max_tokens"), attempt[asked] * (numbers.get("prompts_per_attempt") or 1)
            for what, tokens, room, room_is in (
                ("prompt", prompt, context, "the context, which the answer shares"),
                ("answer", answer, longest, "the longest answer that the grammar allows"),
            ):
                found.append(TokenLengths(source, task, what, tokens[asked] / prompts, room, room_is))
    return found


def spread_figures(spreads: list[TokenLengths]) -> list[tuple[TokenLengths, Markup]]:
    """A histogram of each: line, the median; dashed, what 95 % do not exceed."""
    return [(spread, _histogram(spread, f"tokens{n}")) for n, spread in enumerate(spreads)]


def _histogram(spread: TokenLengths, name: str) -> Markup:
    low, high = float(spread.lengths.min()), float(spread.lengths.max())
    with page_style():
        figure = Figure(figsize=(272 / 72, 150 / 72))
        axes = figure.add_axes((0.175, 0.29, 0.79, 0.67))
        axes.hist(spread.lengths, bins=_edges(low, high).tolist(), color=SERIES[0], alpha=0.55, linewidth=0)
        axes.margins(x=0.08)
        axes.axvline(spread.at(0.5), color=INK, linewidth=1.8)
        axes.axvline(spread.at(0.95), color=INK, linewidth=1.4, linestyle=(0, (4, 3)))
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        axes.tick_params(labelsize=11, labelcolor=MUTED, length=0)
        axes.tick_params(axis="x", pad=7)
        axes.grid(axis="x", visible=False)
        axes.set_xlabel("tokens", fontsize=11)
        label = f"{spread.source}, {spread.title}, {counted(len(spread.lengths), 'request')}: {spread.told}"
        return inline_svg(figure, name, label)


def _edges(low: float, high: float) -> np.ndarray:
    """Edges at whole numbers and a half, so that no bin holds more numbers than its neighbour."""
    step = max(1, int(np.ceil((high - low + 1) / BINS)))
    return np.arange(np.floor(low) - 0.5, high + step, step)


def _tokens(value: float) -> str:
    return count(round(value))
