"""The number format that a model is trained in: `dtype: auto` is settled when a training first begins, and then kept.

It decides the trained weights, so it is part of a training's identity, and a run that goes on on another machine keeps
to what it was begun in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from augrec.artefacts.pinned_format import PinnedFormat, pinned_format
from augrec.artefacts.processor import FastestFormat, format_by_flags, processor_flags
from augrec.artefacts.tune_folder import TuneFolder
from augrec.pipeline.tuning.settings import TrainerSettings

FORGET = "delete it to choose anew; the model is then trained again"


@dataclass(frozen=True)
class Settled:
    """Settings without `dtype: auto`, and the reason for the format, in words."""

    settings: TrainerSettings
    why: str


def begun_in(settings: TrainerSettings, files: TuneFolder) -> TrainerSettings:
    """The settings with the format that `auto` was settled on; as they are where nothing is settled."""
    if settings.dtype != "auto" or not files.number_format.exists():
        return settings
    return replace(settings, dtype=_pinned(files, None).dtype)


def settle(settings: TrainerSettings, files: TuneFolder, *, gpu: bool | None) -> Settled:
    """Settles the format, once for a run.

    Args:
        settings: of the training.
        files: where it lies.
        gpu: whether the GPU computes in bfloat16; None where there is no GPU.

    Raises:
        DataError: the run's file says no format.
    """
    if settings.dtype != "auto":
        return Settled(settings, "the configuration says so")
    fastest = _of_processor() if gpu is None else _of_gpu(gpu)
    kept = _pinned(files, fastest)
    why = kept.why if kept.dtype == fastest.dtype else f"this run was begun in it, on {kept.processor}"
    return Settled(replace(settings, dtype=kept.dtype), why)


def _of_processor() -> FastestFormat:
    unknown = FastestFormat("float32", "the flags of this processor say nothing of bfloat16")
    return format_by_flags(processor_flags()) or unknown


def _of_gpu(bfloat16: bool) -> FastestFormat:
    return FastestFormat("bfloat16", "the GPU has it") if bfloat16 else FastestFormat("float32", "the GPU has no other")


def _pinned(files: TuneFolder, chosen: FastestFormat | None) -> PinnedFormat:
    """What the training keeps to."""
    return pinned_format(files.number_format, chosen, what="the model is trained in", remedy=FORGET)
