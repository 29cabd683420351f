"""The section `tune` of a run: what a language model is taught, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from augment.engines.options import EngineOptions
from augment.instructions.options import InstructionOptions
from augrec.artefacts.options import Options
from augrec.pipeline.tuning.settings import Method

LEARNING_RATES: dict[Method, float] = {"lora": 2e-4, "full": 2e-5}
"""Where the config says nothing: usual for LoRA, and the published one for all weights."""


class LoraOptions(Options):
    """A low-rank adapter on all linear layers but the last one (Hu et al. 2022)."""

    rank: int = Field(default=16, ge=1, le=512)
    """r, the rank of each pair of matrices."""
    alpha: int = Field(default=32, ge=1)
    """The adapter's share is scaled by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Of the adapter's input."""


class TuneOptions(Options):
    """Instruction tuning of the language model (Llama4Rec), before anything is generated.

    The defaults are the published ones (context of 2,048 tokens, batches of 16, 3 epochs, cosine, 50 steps of warm-up),
    but a LoRA adapter is trained, where the authors train all weights: it fits one GPU, and one base model serves any
    number of them.
    """

    model: str
    """The base model: a local folder, or a name that the pipeline resolves to one."""
    instructions: InstructionOptions
    method: Method = "lora"
    """lora trains an adapter, full all weights."""
    lora: LoraOptions = LoraOptions()
    merge: bool = False
    """Add the adapter to the base model's weights and serve those. On a CPU vLLM computes an adapter many times slower
    than the model (it gathers its matrices anew for every token); on a GPU an adapter costs little, and one base model
    serves any number of them."""
    epochs: float = Field(default=3.0, gt=0.0, le=1000.0)
    """Passes over the instructions."""
    learning_rate: float | None = Field(default=None, gt=0.0)
    """The highest; null: 2e-4 for an adapter, 2e-5 for all weights."""
    batch_size: PositiveInt = 16
    """Instructions per optimiser step, over all processes."""
    micro_batch_size: PositiveInt = 4
    """Instructions that one process computes at once on a GPU; less takes less memory and as many steps. A processor
    takes them one after the other: no padding is computed, and it is no slower."""
    warmup_steps: int = Field(default=50, ge=0)
    """Steps in which the learning rate rises to the highest; it then falls along a cosine to 0."""
    max_length: int = Field(default=2048, ge=128)
    """Most tokens of a prompt and its answer. Longer histories are shortened, oldest first; whatever else is longer is
    an error, and never cut. The engine that is asked later should take as many (`max_model_len`)."""
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Passed to the chat template; must be those of the engines that use the tuned model."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the computation. auto: bfloat16 on a GPU that has it and on a processor that multiplies it
    (avx512_bf16, amx_bf16, bf16 of ARM), else float32; kept for the whole run. Numbers that are trained, an adapter's
    or all, are held in float32 in both."""
    gradient_checkpointing: bool = False
    """Compute activations twice instead of keeping them: a third more time, and much less memory for long prompts."""
    attention: str | None = None
    """The attention kernel by transformers' name, e.g. flash_attention_2; null leaves it to transformers."""
    liger: bool = False
    """Use Liger's kernels, which have to be installed in the environment of the tuning."""
    checkpoint_steps: PositiveInt = 50
    """Steps between two checkpoints, from which a training that was broken off goes on."""
    accelerate: Path | None = None
    """A config of `accelerate launch` for several GPUs, e.g. slurm/accelerate/fsdp2.yaml; null: one process."""
    deepspeed: Path | None = None
    """A DeepSpeed config, e.g. slurm/accelerate/zero3.json; DeepSpeed has to be installed in that environment."""
    python: Path | None = None
    """The interpreter of the environment that trains; null: $AUGREC_TUNE_PYTHON, else `.venv-tune`, which
    `make tune-env` builds."""

    @property
    def highest_rate(self) -> float:
        """The learning rate after warm-up."""
        return self.learning_rate if self.learning_rate is not None else LEARNING_RATES[self.method]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.batch_size % self.micro_batch_size:
            raise ValueError(f"batch_size ({self.batch_size}) must be a multiple of micro_batch_size "
                             f"({self.micro_batch_size})")  # fmt: skip
        if self.merge and self.method != "lora":
            raise ValueError(f"merge: method {self.method} trains no adapter that could be merged; leave it out")
        return self


def check_tuned(engine: EngineOptions, tune: TuneOptions | None, key: str) -> None:
    """Raises ValueError where an engine asks for the tuned model, and it is none of its own.

    Args:
        engine: with `uses_tuned`.
        tune: the section of the same run.
        key: where the engine stands in the config.
    """
    if tune is None:
        raise ValueError(f"{key}.tuned: nothing is tuned; add a section `tune`")
    for name, taught in (("model", tune.model), ("chat_template_kwargs", tune.chat_template_kwargs)):
        asked = getattr(engine, name, taught)
        if asked != taught:
            raise ValueError(f"{key}.{name}: {asked!r} is not what is tuned (tune.{name}: {taught!r})")
