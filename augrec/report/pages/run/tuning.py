"""How the language model was taught before it was asked: the loss as it went, what was taught, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from augrec.artefacts.files import read_json
from augrec.artefacts.loss_curve import LossPoint, read_losses
from augrec.artefacts.run_folder import RunFolder
from augrec.report.pages.run.facts import Pairs
from augrec.report.pages.run.plots import WIDE, responsive
from augrec.report.render.svg import MUTED, SERIES
from augrec.report.render.wording import count, number, percent, seconds

SHOWN = 12
"""Points of a curve below which each is marked."""


@dataclass(frozen=True)
class InstructionTuning:
    """A finished tuning, ready to show."""

    figure: Markup
    facts: Pairs


def read_tuning(run: RunFolder, stages: Sequence[str] | None = None) -> InstructionTuning | None:
    """The tuning of a run; None where it has none.

    Args:
        run: the run folder.
        stages: the folders of the stages that made it; None for all that have a marker.
    """
    marker = run.stage_marker(run.tune.root.name)
    if not marker.exists() or (stages is not None and run.tune.root.name not in stages):
        return None
    details, points = read_json(marker).get("details") or {}, read_losses(run.tune.losses)
    return InstructionTuning(loss_figure(points), _facts(details)) if points else None


def loss_figure(points: Sequence[LossPoint]) -> Markup:
    """The loss by step; the line between its points says nothing of what was between."""
    first, last = points[0], points[-1]
    label = (
        f"Loss of the instruction tuning, nats per token of an answer: {number(first.loss, 3)} at step {first.step}, "
        f"{number(last.loss, 3)} at step {last.step}"
    )

    def draw(figure: Figure, width: int) -> None:
        left = 56 / width
        axes = figure.add_axes((left, 0.24, 0.98 - left, 0.7))
        marker = "o" if len(points) <= SHOWN else None
        steps, losses = [point.step for point in points], [point.loss for point in points]
        axes.plot(steps, losses, color=SERIES[0], linewidth=2.0, marker=marker, markersize=4)
        axes.set_xlim(0, last.step * 1.02)
        axes.set_ylim(0, max(losses) * 1.06)
        axes.xaxis.set_major_locator(MaxNLocator(8 if width == WIDE else 4, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.tick_params(labelcolor=MUTED, length=0)
        axes.set_xlabel("optimiser step")

    return responsive("tuning", label, draw, 220, 200)


def _facts(details: dict[str, Any]) -> Pairs:
    """What the marker says, in words; what an older one does not say is left out."""
    instructions = details.get("instructions") or {}
    taught = (f"{task.replace('_', ' ')} {count(made)}" for task, made in (instructions.get("made") or {}).items())
    left_out = ((reason.replace("_", " "), many) for reason, many in (instructions.get("dropped") or {}).items())
    trained, whole = details.get("trained_parameters"), details.get("parameters")
    share = f"{count(trained)} of {count(whole)}, {percent(trained / whole)}" if trained and whole else None
    tokens, taken, processes = details.get("tokens"), details.get("seconds"), details.get("processes", 1)
    pairs = [
        ("method", {"lora": "LoRA adapter", "full": "all weights"}.get(str(details.get("method")))),
        ("instructions", ", ".join(taught)),
        ("left out", ", ".join(f"{reason} {count(many)}" for reason, many in left_out if many)),
        ("tokens", f"{count(tokens)}, {count(details.get('answer_tokens'))} of them of answers" if tokens else None),
        ("trained parameters", share),
        ("steps", count(details["steps"]) if "steps" in details else None),
        ("took", f"{seconds(taken)} on {details.get('device')}" if taken else None),
        ("computed in", _format(details)),
        ("processes", count(processes) if processes > 1 else None),
        ("versions", ", ".join(f"{name} {version}" for name, version in (details.get("versions") or {}).items())),
    ]
    return [(name, text) for name, text in pairs if text]


def _format(details: dict[str, Any]) -> str | None:
    dtype, because = details.get("dtype"), details.get("dtype_because")
    return f"{dtype}: {because}" if dtype and because else dtype
