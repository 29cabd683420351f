"""`augrec instructions`: what a run would teach its language model, as a file to read or to mix into another run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from augrec.artefacts.counts import counted
from augrec.pipeline.executors.commands import ConfigPath, Overrides
from augrec.pipeline.host.terminal import terminal

if TYPE_CHECKING:
    from augrec.pipeline.stages.base import Run

Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="The file to write; RUN/tune/instructions.jsonl by default."),
]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("instructions")(instructions_command)


def instructions_command(config: ConfigPath, overrides: Overrides = None, out: Out = None) -> None:
    """Write the instructions that the stage tune would teach, without training anything."""
    from augrec.pipeline.config.run_config import read_config
    from augrec.pipeline.stages.base import Run

    run = Run(read_config(config, overrides))
    with run.stop.listening():
        written, counts = write_run_instructions(run, out)
    render(written, counts, terminal())


def write_run_instructions(run: Run, out: Path | None = None) -> tuple[Path, dict[str, dict[str, int]]]:
    """Makes the instructions of a run whose stages before are finished.

    Args:
        run: the run; its config has a section `tune`.
        out: where they go; into the run's folder unless given.

    Returns:
        The file, and what was made and dropped.
    """
    from augment.engines.vllm.chat import Chat
    from augrec.artefacts.instructions import write_instructions
    from augrec.pipeline.executors.chain import check_current, whole_run
    from augrec.pipeline.stages.registry import STAGES, stages_before
    from augrec.pipeline.tuning.instructions import make_instructions, tune_options
    from augrec.pipeline.weights.resolve import resolve

    options, path = tune_options(run.config), out or run.files.tune.instructions
    with whole_run(run):
        for stage in stages_before(STAGES["tune"], run.config):
            check_current(stage, run)
        made = make_instructions(run, Chat(resolve(options.model).path, options.chat_template_kwargs))
        if out is None:
            write_instructions(path, made.instructions)
    if out is not None:  # outside of the folder that is worked on
        write_instructions(path, made.instructions)
    return path, made.counts


def render(path: Path, counts: dict[str, dict[str, int]], console: Console) -> None:
    """What was written, one line a task, and what was left out."""
    total = sum(counts["made"].values())
    console.print(f"{counted(total, 'instruction')}: {path}", markup=False, highlight=False, soft_wrap=True)
    for what, numbers in (("", counts["made"]), ("left out: ", counts["dropped"])):
        for name, count in numbers.items():
            console.print(f"  {count:>8,}  {what}{name.replace('_', ' ')}", markup=False, highlight=False)
