"""What the language models of a first run will take, for a word on the whole before anything was measured."""

from __future__ import annotations

from augrec.artefacts.errors import AugrecError
from augrec.pipeline.executors.pace import Expected
from augrec.pipeline.preview.look import PreviewOptions, look, rates_known
from augrec.pipeline.stages.base import Run

ASKING = ("augment", "rerank")
"""Stages that ask language models."""


def expected_answers(run: Run) -> Expected | None:
    """The seconds of all answers of a run, as `augrec preview` estimates them; None where no rate is known.

    Prompts of a few users and items are made for it; where that fails, the stage itself says why.
    """
    generation = run.config.generation
    if generation is None or not rates_known(run):
        return None
    try:
        seen = look(run, PreviewOptions(show=0))
    except AugrecError:
        return None
    sources = generation.sources
    found = [each.estimate for each in seen if each.estimate is not None and sources[each.source].engine.writes_text]
    timed = [(estimate.seconds, estimate.by) for estimate in found if estimate.seconds is not None]
    if not timed:
        return None
    stages = ASKING if run.config.rerank is not None else ASKING[:1]
    others = "" if len(timed) == len(found) else "; of other sources nothing is known"
    return Expected(stages, sum(seconds for seconds, _ in timed), f"{timed[0][1]}{others}")
