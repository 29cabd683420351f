"""Where the instruction tuning of a run lies, `tune/`: what was taught, how it went, and the model that came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TuneFolder:
    """One tuning of a language model."""

    root: Path

    @property
    def instructions(self) -> Path:
        """What is taught, one instruction a line, see `augrec.artefacts.instructions`."""
        return self.root / "instructions.jsonl"

    @property
    def tokens(self) -> Path:
        """The instructions as token ids, see `augrec.artefacts.token_sequences`."""
        return self.root / "tokens.parquet"

    @property
    def settings(self) -> Path:
        """What the trainer is told, see `augrec.pipeline.tuning.settings`."""
        return self.root / "settings.json"

    @property
    def number_format(self) -> Path:
        """The number format that `dtype: auto` was settled on when the training first began."""
        return self.root / "number_format.json"

    @property
    def energy(self) -> Path:
        """Joules of the devices while the model was trained, over all attempts, where the driver counts them."""
        return self.root / "energy.json"

    @property
    def losses(self) -> Path:
        """The loss as the training went, see `augrec.artefacts.loss_curve`."""
        return self.root / "loss.jsonl"

    @property
    def log(self) -> Path:
        """Everything that the trainer and its libraries said."""
        return self.root / "tune.log"

    @property
    def checkpoints(self) -> Path:
        """Where a training that was broken off goes on; empty once it is done."""
        return self.root / "checkpoints"

    @property
    def outcome(self) -> Path:
        """Written last by the trainer, with what the model was trained from: a training without it has not finished."""
        return self.root / "trained.json"

    @property
    def adapter(self) -> Path:
        """A LoRA adapter as peft saves it; only with `method: lora`."""
        return self.root / "adapter"

    @property
    def model(self) -> Path:
        """A whole model with its tokenizer; only with `method: full`, or where the adapter is merged."""
        return self.root / "model"
