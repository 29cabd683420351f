"""What the trainer is told: one JSON file, written by the stage and read in the trainer's own environment.

Only the standard library is used, since that environment holds neither pydantic nor the rest of the pipeline.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from augrec.artefacts.files import digest, read_json, sha256_file, write_json
from augrec.artefacts.tune_folder import TuneFolder

Method = Literal["lora", "full"]
NO_IDENTITY = ("model", "folder", "deepspeed", "checkpoint_steps", "log_steps")
"""Fields that are places, or that change nothing of what is learnt."""


def made(files: TuneFolder, method: Method, *, merge: bool) -> list[Path]:
    """The folders that a training leaves: an adapter, a whole model, or both."""
    return [files.model] if method == "full" else [files.adapter, files.model] if merge else [files.adapter]


@dataclass(frozen=True)
class TrainerSettings:
    """One training.

    Args:
        model: folder of the base model.
        model_sha256: hash of its weights.
        folder: R/tune, see `augrec.artefacts.tune_folder`.
        tokens_sha256: hash of the token sequences in it.
        code: identity of the trainer's modules, see `augrec.pipeline.identity.code_identity`: loss, kernels and
            number formats decide the weights as options do.
        method: a LoRA adapter, or all weights.
        epochs: passes over the instructions.
        learning_rate: the highest.
        batch_size: instructions per optimiser step, over all processes.
        micro_batch_size: instructions computed at once by one process on a GPU; a processor takes one after the other.
        warmup_steps: steps in which the learning rate rises to the highest.
        seed: of the order of instructions and of the adapter's first weights.
        dtype: of the computation; auto is bfloat16 on a GPU or processor that multiplies it, else float32, see
            `augrec.pipeline.tuning.number_format`.
        gradient_checkpointing: computes activations twice instead of keeping them.
        lora: of an adapter: rank, alpha and dropout of its matrices.
        merge: whether the adapter is added to the base model's weights, too.
        checkpoint_steps: steps between two checkpoints.
        log_steps: steps between two points of the loss curve.
        deepspeed: a DeepSpeed config.
        attention: the attention kernel by transformers' name; None leaves it to transformers.
        liger: whether Liger's kernels are used.
    """

    model: str
    model_sha256: str
    folder: str
    tokens_sha256: str
    code: str
    method: Method
    epochs: float
    learning_rate: float
    batch_size: int
    micro_batch_size: int
    warmup_steps: int
    seed: int
    dtype: str = "auto"
    gradient_checkpointing: bool = False
    lora: dict[str, float] | None = None
    merge: bool = False
    checkpoint_steps: int = 50
    log_steps: int = 1
    deepspeed: str | None = None
    attention: str | None = None
    liger: bool = False

    @property
    def fingerprint(self) -> str:
        """One hash of what decides the trained weights: a training goes on, or counts as done, while it is the same."""
        values = {name: value for name, value in asdict(self).items() if name not in NO_IDENTITY}
        deepspeed = None if self.deepspeed is None else sha256_file(Path(self.deepspeed))
        return digest(values | {"deepspeed": deepspeed})

    def made(self, files: TuneFolder) -> list[Path]:
        """The folders that this training leaves."""
        return made(files, self.method, merge=self.merge)

    def write(self, path: Path) -> None:
        """Writes the settings."""
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> TrainerSettings:
        """Reads what `write` wrote."""
        return cls(**read_json(path))
