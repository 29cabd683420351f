"""tune: the language model is taught the run's tasks on training interactions, before it is asked anything."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from augrec.artefacts.counts import counted
from augrec.artefacts.files import remove_scraps, sha256_file
from augrec.pipeline.identity.code_identity import code_identity
from augrec.pipeline.stages.base import Run, Stage

TRAINER = "augrec.pipeline.tuning.trainer"
"""The program that trains; what it imports decides the weights."""


class Tune(Stage):
    """Writes `tune/instructions.jsonl`, `tune/loss.jsonl`, and `tune/adapter/`, `tune/model/` or both.

    The training itself is a program in an environment of its own, which this process starts and follows. It is done
    anew only when what decides the weights has changed: the tokens that are taught, the base model, the options, the
    trainer's code. Broken off, it goes on from its last checkpoint.
    """

    name = "tune"
    help = "Teach the LLM the run's tasks on training interactions (LoRA or all weights), in an environment of its own."
    after = ("prepare", "base")
    section_name = "tune"

    def code(self, run: Run) -> tuple[str, ...]:
        """See `Stage.code`; with the tasks that are taught."""
        from augment.tasks import TASKS
        from augrec.pipeline.tuning.instructions import tune_options

        tasks = tune_options(run.config).instructions.tasks
        return (*super().code(run), *(TASKS[task].__module__ for task in tasks))

    def section(self, run: Run) -> dict[str, Any]:
        """See `Stage.section`; weights, templates and files of instructions count by their content."""
        from augment.prompts.rendering import replaced_templates
        from augrec.pipeline.tuning.instructions import prompt_options, tune_options

        options, prompts = tune_options(run.config), prompt_options(run.config)
        values = options.model_dump(
            mode="json",
            exclude={
                "model": True,
                "python": True,
                "accelerate": True,
                "deepspeed": True,
                "checkpoint_steps": True,
                "instructions": {"also"},
            },
        )
        return {
            "tune": values,
            "model": base_model(run).sha256,
            "deepspeed": None if options.deepspeed is None else sha256_file(options.deepspeed),
            "also": [sha256_file(path) for path in options.instructions.also],
            "tasks": {task: prompts.tasks.of(task).model_dump(mode="json") for task in options.instructions.tasks},
            "prompts": prompts.model_dump(mode="json", include={"max_history", "item_text"}),
            "templates": replaced_templates(prompts.templates),
            "seed": run.config.seed,
        }

    def finish(self, run: Run) -> dict[str, Any]:
        """See `Stage.finish`: instructions are made and counted in tokens, then the model is trained on them."""
        from augment.engines.vllm.chat import Chat
        from augrec.artefacts.instructions import write_instructions
        from augrec.artefacts.token_sequences import write_sequences
        from augrec.pipeline.tuning.environment import tune_environment
        from augrec.pipeline.tuning.instructions import as_sequences, make_instructions, tune_options
        from augrec.pipeline.tuning.launch import finished_training

        options, files, model = tune_options(run.config), run.files.tune, base_model(run)
        if not files.outcome.exists():
            tune_environment(options.python)  # nothing is made for a training that cannot begin
        remove_scraps(files.root)
        chat = Chat(model.path, options.chat_template_kwargs)
        made = make_instructions(run, chat)
        write_instructions(files.instructions, made.instructions)
        write_sequences(files.tokens, as_sequences(made.instructions, chat, options.max_length))
        settings = self._settings(run)
        outcome = finished_training(files, settings) or self._train(run)
        return {
            "instructions": made.counts,
            "instructions_sha256": sha256_file(files.instructions),
            "method": options.method,
            **{key: value for key, value in outcome.items() if key != "fingerprint"},
        }

    def _train(self, run: Run) -> dict[str, Any]:
        from augrec.pipeline.tuning.environment import tune_environment
        from augrec.pipeline.tuning.instructions import tune_options
        from augrec.pipeline.tuning.launch import launch

        options = tune_options(run.config)
        environment = tune_environment(options.python)
        return launch(environment, self._settings(run), run.files.tune, options.accelerate)

    def _settings(self, run: Run) -> Any:
        from augrec.pipeline.tuning.instructions import tune_options
        from augrec.pipeline.tuning.settings import TrainerSettings
        from augrec.pipeline.weights.staging import staged

        options, model, files = tune_options(run.config), base_model(run), run.files.tune
        return TrainerSettings(
            model=str(staged(model.path, model.sha256)),
            model_sha256=model.sha256,
            folder=str(files.root.absolute()),
            tokens_sha256=sha256_file(files.tokens),
            code=code_identity((TRAINER,)),
            method=options.method,
            epochs=options.epochs,
            learning_rate=options.highest_rate,
            batch_size=options.batch_size,
            micro_batch_size=options.micro_batch_size,
            warmup_steps=options.warmup_steps,
            seed=run.config.seed,
            dtype=options.dtype,
            gradient_checkpointing=options.gradient_checkpointing,
            lora=options.lora.model_dump() if options.method == "lora" else None,
            merge=options.merge,
            checkpoint_steps=options.checkpoint_steps,
            deepspeed=None if options.deepspeed is None else str(options.deepspeed.absolute()),
            attention=options.attention,
            liger=options.liger,
        )

    def open(self, run: Run, group: str) -> str:
        """See `Stage.open`: how far a training came that is under way, or was broken off."""
        from augrec.artefacts.loss_curve import read_losses

        files = run.files.tune
        points = [] if files.outcome.exists() else read_losses(files.losses)
        return f"step {points[-1].step:,} (epoch {points[-1].epoch:.2f}), loss {points[-1].loss:.3f}" if points else ""

    def outputs(self, run: Run) -> Iterable[Path]:
        """See `Stage.outputs`: the instructions, the loss curve, and the files of the adapter or model."""
        from augrec.pipeline.tuning.instructions import tune_options
        from augrec.pipeline.tuning.settings import made

        files, options = run.files.tune, tune_options(run.config)
        folders = made(files, options.method, merge=options.merge)
        weights = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
        return [files.instructions, files.losses, *weights]

    def summary(self, details: dict[str, Any]) -> str:
        """See `Stage.summary`."""
        made = sum(details["instructions"]["made"].values())
        loss = f"loss {details['first_loss']:.3f} -> {details['last_loss']:.3f}"
        return f"{counted(made, 'instruction')}, {counted(details['steps'], 'step')}, {loss}"

    def notes(self, details: dict[str, Any]) -> list[str]:
        """See `Stage.notes`: what could not become an instruction."""
        dropped = {reason: count for reason, count in details["instructions"]["dropped"].items() if count}
        listed = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in dropped.items())
        return [f"left out: {listed}"] if listed else []


def base_model(run: Run) -> Any:
    """The resolved base model, see `augrec.pipeline.weights.resolve`."""
    from augrec.pipeline.tuning.instructions import tune_options
    from augrec.pipeline.weights.resolve import resolve

    return resolve(tune_options(run.config).model)
