"""The trainer: supervised fine-tuning on token sequences by trl, in an environment of its own (`start`).

It is told everything by one file of settings and says what it does as JSON objects on standard output, one a line:
{"steps": N} when the training begins, {"step": n, "loss": ...} as it goes, {"failed": {...}} for an error that a user
can mend. Whatever libraries print goes to standard error.

The objective is the mean cross-entropy of the tokens of the answers given what stands before them (Llama4Rec, equation
7). Nothing is ever cut: sequences come whole, and their length was checked before.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from augrec.artefacts.cores import CoreWatch
from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import read_json, remove_scraps, sync_folder, write_json
from augrec.artefacts.loss_curve import LossPoint, read_losses, write_losses
from augrec.artefacts.model_files import BY_HASH
from augrec.artefacts.threads import Threads, most_threads, threads_in_words
from augrec.artefacts.token_sequences import TokenSequence, read_sequences
from augrec.artefacts.tune_folder import TuneFolder
from augrec.artefacts.versions import installed_version
from augrec.pipeline.host.stopping import AGAIN
from augrec.pipeline.tuning.answer_loss import IGNORED, trainer_class
from augrec.pipeline.tuning.number_format import settle
from augrec.pipeline.tuning.settings import TrainerSettings

MADE_OF = "made_of.json"
"""In a checkpoint's folder, written when all the rest of it is there: the fingerprint of the training."""
PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate")


class Talk:
    """What this process says to the one that started it; only the first of several does."""

    def __init__(self, out: TextIO | None) -> None:
        self._out = out

    def say(self, **facts: Any) -> None:
        """One line."""
        if self._out is not None:
            print(json.dumps(facts), file=self._out, flush=True)


def main(path: Path) -> int:
    """Trains as the settings say; the exit code.

    Args:
        path: the settings.
    """
    with _own_output() as out:
        talk = Talk(out if int(os.environ.get("RANK", "0")) == 0 else None)
        try:
            settings = TrainerSettings.read(path)
            return train(settings, talk)
        except AugrecError as error:
            talk.say(failed={"what": error.what, "where": error.where, "remedy": error.remedy})
            return error.exit_code
        except Exception as error:
            if type(error).__name__ != "OutOfMemoryError":
                raise
            remedy = "lower tune.micro_batch_size, or set tune.gradient_checkpointing: true"
            talk.say(failed={"what": "the GPU's memory is full", "where": None, "remedy": remedy})
            return 1


@contextmanager
def _own_output() -> Iterator[TextIO]:
    """Standard output for what is said on purpose; prints of libraries go to standard error meanwhile."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        yield out


def train(settings: TrainerSettings, talk: Talk) -> int:
    """Trains from the last checkpoint of the same training, if there is one, and saves the weights.

    Returns:
        0, or `AGAIN` where it was told to stop.
    """
    from transformers import set_seed

    from augrec.pipeline.tuning.causal_attention import use as causal_attention
    from augrec.pipeline.tuning.lora_product import use as one_product

    files = TuneFolder(Path(settings.folder))
    sequences = list(read_sequences(files.tokens))
    began = time.monotonic()
    settled = settle(settings, files, gpu=_gpu_has_bfloat16())
    settings = settled.settings
    checkpoint = last_checkpoint(files.checkpoints, settings.fingerprint)
    options = _options(settings, files)
    set_seed(settings.seed)
    model, tokenizer = _load(settings)
    if options.use_cpu:
        causal_attention(model)
    adapter = _adapter(settings) if settings.method == "lora" else None
    watch = _watch(settings, files, talk, checkpoint, _threads() if options.use_cpu else None)
    trainer = trainer_class(settings, model, on_cpu=options.use_cpu)(
        model, options, train_dataset=_dataset(sequences), processing_class=tokenizer, peft_config=adapter,
        callbacks=[watch],
    )  # fmt: skip
    if options.use_cpu and adapter is not None:
        one_product(trainer.model)
    with _stopping(watch, alone=trainer.args.world_size == 1), _inputs_as_they_are(trainer):
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    if watch.stopped:
        return AGAIN
    _save(trainer, tokenizer, settings, files)
    if trainer.is_world_process_zero():
        if settings.merge:
            _merge(tokenizer, settings, files)
        points = read_losses(files.losses)
        write_json(
            files.outcome,
            {
                "fingerprint": settings.fingerprint,
                "sequences": len(sequences),
                "tokens": sum(len(each.tokens) for each in sequences),
                "answer_tokens": sum(len(each.tokens) - each.answer for each in sequences),
                "steps": trainer.state.global_step,
                "trained_parameters": watch.trained,
                "parameters": watch.parameters,
                "first_loss": points[0].loss,
                "last_loss": points[-1].loss,
                "seconds": points[-1].seconds,
                "start_seconds": round(watch.begun - began, 1),
                "device": _device(watch.threads),
                "dtype": settings.dtype,
                "dtype_because": settled.why,
                "processes": trainer.args.world_size,
                "versions": {name: installed_version(name) for name in PACKAGES},
            },
        )
        shutil.rmtree(files.checkpoints, ignore_errors=True)
    return 0


def _inputs_as_they_are(trainer: Any) -> Any:
    """Without peft's copy of every layer's input in float32, which autocast turns back on a processor."""
    from peft.helpers import disable_input_dtype_casting

    return disable_input_dtype_casting(trainer.model, active=trainer.args.use_cpu and trainer.args.bf16)


def last_checkpoint(folder: Path, fingerprint: str) -> Path | None:
    """The latest whole checkpoint of this very training; those of others, and half ones, are removed."""
    whole: dict[int, Path] = {}
    for path in folder.glob("checkpoint-*"):
        mark = path / MADE_OF
        if mark.is_file() and read_json(mark) == {"fingerprint": fingerprint}:
            whole[int(path.name.rpartition("-")[2])] = path
        elif int(os.environ.get("RANK", "0")) == 0:
            shutil.rmtree(path, ignore_errors=True)
    return whole[max(whole)] if whole else None


def labels(sequence: TokenSequence) -> list[int]:
    """The tokens that the loss is of; `IGNORED` at the prompt's."""
    return [IGNORED] * sequence.answer + list(sequence.tokens[sequence.answer :])


def accumulation(settings: TrainerSettings, processes: int) -> int:
    """Micro batches of one process in a step.

    Raises:
        AugrecError: the batch cannot be dealt out evenly.
    """
    at_once = settings.micro_batch_size * processes
    if settings.batch_size % at_once:
        raise AugrecError(
            f"a batch of {settings.batch_size} instructions cannot be dealt out to {processes} processes with "
            f"{settings.micro_batch_size} at once each",
            where="tune.batch_size",
            remedy=f"make it a multiple of {at_once}, or change tune.micro_batch_size",
        )
    return settings.batch_size // at_once


def _options(settings: TrainerSettings, files: TuneFolder) -> Any:
    import torch
    from trl import SFTConfig

    on_gpu = torch.cuda.is_available()
    # A processor is as fast with one instruction as with several; those of unlike lengths would be padded.
    at_once = settings.micro_batch_size if on_gpu else 1
    micro_batches = accumulation(settings, int(os.environ.get("WORLD_SIZE", "1")))
    return SFTConfig(
        output_dir=str(files.checkpoints),
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=settings.warmup_steps,
        per_device_train_batch_size=at_once,
        gradient_accumulation_steps=micro_batches * settings.micro_batch_size // at_once,
        activation_checkpointing=settings.gradient_checkpointing,
        bf16=settings.dtype == "bfloat16",
        use_cpu=not on_gpu,
        max_length=None,  # checked before; None never cuts
        packing=False,
        dataloader_pin_memory=on_gpu,
        logging_steps=settings.log_steps,
        logging_first_step=True,
        include_num_input_tokens_seen="non_padding",
        save_strategy="steps",
        save_steps=settings.checkpoint_steps,
        save_total_limit=2,  # the one before stays until the new one is whole
        seed=settings.seed,
        deepspeed=settings.deepspeed,
        use_liger_kernel=settings.liger,
        report_to="none",
        disable_tqdm=True,
    )


def _gpu_has_bfloat16() -> bool | None:
    """None where there is no GPU."""
    import torch

    return torch.cuda.is_bf16_supported() if torch.cuda.is_available() else None


def _load(settings: TrainerSettings) -> tuple[Any, Any]:
    """The base model and its tokenizer.

    A frozen model is held in the format that is computed in; weights that are trained are held in float32, where
    small changes are not lost.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    dtype = torch.bfloat16 if settings.dtype == "bfloat16" and settings.method == "lora" else torch.float32
    named = {} if settings.attention is None else {"attn_implementation": settings.attention}
    model = AutoModelForCausalLM.from_pretrained(settings.model, dtype=dtype, local_files_only=True, **named)
    tokenizer = AutoTokenizer.from_pretrained(settings.model, local_files_only=True)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


def _adapter(settings: TrainerSettings) -> Any:
    """LoRA on all linear layers but the last, of the kind that vLLM can apply: no DoRA, biases or whole layers."""
    from peft import LoraConfig

    assert settings.lora is not None
    return LoraConfig(
        r=int(settings.lora["rank"]),
        lora_alpha=int(settings.lora["alpha"]),
        lora_dropout=settings.lora["dropout"],
        target_modules="all-linear",
        bias="none",
        task_type="CAUSAL_LM",
    )


def _dataset(sequences: list[TokenSequence]) -> Any:
    from datasets import Dataset

    return Dataset.from_dict(
        {"input_ids": [list(each.tokens) for each in sequences], "labels": [labels(each) for each in sequences]}
    )


def _threads() -> Threads:
    """As many threads as cores are free, looked at again as the training goes."""
    import torch

    return Threads(None, most_threads(torch.get_num_threads()), torch.set_num_threads, CoreWatch())


def _watch(
    settings: TrainerSettings, files: TuneFolder, talk: Talk, checkpoint: Path | None, threads: Threads | None
) -> Any:
    """What is called back after every step: keeps the loss curve, marks whole checkpoints, and stops on request."""
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        stopped = False
        begun = 0.0
        trained = parameters = 0

        def __init__(self) -> None:
            reached = 0 if checkpoint is None else int(checkpoint.name.rpartition("-")[2])
            self._points = [point for point in read_losses(files.losses) if point.step <= reached] if reached else []
            self.threads = threads

        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **more: Any) -> None:
            self.begun = time.monotonic()
            self._before = self._points[-1].seconds if self._points else 0.0
            self.trained = sum(each.numel() for each in model.parameters() if each.requires_grad)
            self.parameters = sum(each.numel() for each in model.parameters())
            talk.say(steps=state.max_steps, done=state.global_step)

        def on_substep_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            if threads is not None:
                threads.look()

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            if self.stopped:
                control.should_save = control.should_training_stop = True

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **more: Any) -> None:
            if "loss" not in (logs or {}) or not state.is_world_process_zero:
                return
            seconds = self._before + time.monotonic() - self.begun
            point = LossPoint(
                state.global_step, round(float(state.epoch), 4), round(float(logs["loss"]), 6),
                float(logs["learning_rate"]), int(state.num_input_tokens_seen), round(seconds, 2),
            )  # fmt: skip
            self._points.append(point)
            write_losses(files.losses, self._points)
            talk.say(step=point.step, loss=point.loss)

        def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            if state.is_world_process_zero:
                folder = files.checkpoints / f"checkpoint-{state.global_step}"
                write_json(folder / MADE_OF, {"fingerprint": settings.fingerprint})

    return Watch()


@contextmanager
def _stopping(watch: Any, *, alone: bool) -> Iterator[None]:
    """Ends the training after the step at hand on SIGTERM, and at once when the process that started it dies.

    Several processes would not agree on the step: there the signal ends them, and the last checkpoint counts.
    """
    if not alone:
        yield
        return

    def stop(*_: object) -> None:
        watch.stopped = True

    def outlived() -> None:
        while os.read(0, 1):  # nothing comes; it ends when nobody is there any more who could say something
            pass
        os._exit(AGAIN)

    threading.Thread(target=outlived, daemon=True).start()
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _save(trainer: Any, tokenizer: Any, settings: TrainerSettings, files: TuneFolder) -> None:
    """The adapter, or the whole model with its tokenizer: written beside, and renamed when it is whole."""
    place = files.adapter if settings.method == "lora" else files.model
    half = place.with_name(f".{place.name}.half")
    shutil.rmtree(half, ignore_errors=True)
    trainer.save_model(str(half))
    if not trainer.is_world_process_zero():
        return
    if settings.method == "lora":
        keep = ("adapter_config.json", "adapter_model.safetensors")
        for path in half.iterdir():
            if path.name not in keep:
                path.unlink()
        write_json(half / keep[0], portable(read_json(half / keep[0]), settings.model_sha256))
    else:
        (half / "training_args.bin").unlink(missing_ok=True)  # a pickle that nobody needs
        tokenizer.save_pretrained(str(half))
    _put(half, place)


def _merge(tokenizer: Any, settings: TrainerSettings, files: TuneFolder) -> None:
    """The base model with the adapter in its weights, W + (alpha / r) B A, added in float32, stored as the base is."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base: Any = AutoModelForCausalLM.from_pretrained(settings.model, dtype="auto", local_files_only=True)
    stored = base.dtype
    merged: Any = PeftModel.from_pretrained(base.float(), str(files.adapter)).merge_and_unload()
    half = files.model.with_name(f".{files.model.name}.half")
    shutil.rmtree(half, ignore_errors=True)
    merged.to(stored).save_pretrained(str(half))
    tokenizer.save_pretrained(str(half))
    _put(half, files.model)


def _put(half: Path, place: Path) -> None:
    """Puts a folder that is whole where its readers look."""
    remove_scraps(half)
    shutil.rmtree(place, ignore_errors=True)
    half.rename(place)
    sync_folder(place.parent)


def portable(config: dict[str, Any], model_sha256: str) -> dict[str, Any]:
    """An adapter's configuration that is the same wherever the base model lay, and in whatever order sets were read."""
    ordered = {key: sorted(value) if isinstance(value, list) else value for key, value in config.items()}
    return ordered | {"base_model_name_or_path": f"{BY_HASH}{model_sha256}"}


def _device(threads: Threads | None) -> str:
    import torch

    return torch.cuda.get_device_name() if threads is None else f"CPU, {threads_in_words(*threads.used)}"
