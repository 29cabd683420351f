"""A run's instructions: built from its data and its base recommender, mixed with others, and turned into tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.files import read_json
from augrec.artefacts.instructions import Instruction, read_instructions
from augrec.artefacts.token_sequences import TokenSequence

if TYPE_CHECKING:
    from augment.engines.vllm.chat import Chat
    from augment.instructions.builder import Counts
    from augment.messages import Messages
    from augment.options import GenerationOptions
    from augrec.pipeline.config.run_config import Config
    from augrec.pipeline.stages.base import Run
    from augrec.pipeline.tuning.options import TuneOptions


@dataclass(frozen=True)
class PromptLength:
    """Counts tokens as the engine does that will be asked; see `augment.requests.TokenCounter`."""

    chat: Chat
    context: int | None

    def count_tokens(self, messages: Messages) -> int:
        """Tokens of a prompt."""
        return len(self.chat.tokens(messages))


@dataclass
class Made:
    """Instructions, and what became of those that are none.

    Attributes:
        instructions: those of the run, task by task, then those of other files.
        counts: by task and by reason, as JSON values.
    """

    instructions: list[Instruction]
    counts: dict[str, Any] = field(default_factory=dict)


def make_instructions(run: Run, chat: Chat) -> Made:
    """All instructions of a run whose stages `prepare` and `base` are finished.

    Args:
        run: the run.
        chat: of the model that is taught.

    Raises:
        DataError: a file of other instructions is wrong, or nothing is left to be taught.
    """
    from augment.instructions.builder import Counts, Duplicates

    options = tune_options(run.config)
    counts = Counts()
    duplicates = Duplicates(counts)
    made = list(_own(run, chat, counts, duplicates))
    for path in options.instructions.also:
        for instruction in read_instructions(path):
            if duplicates.new(instruction):
                counts.made[instruction.task] += 1
                made.append(instruction)
    if not made:
        raise DataError(
            f"no instruction could be made (dropped: {counts.plain()['dropped']})",
            where=run.files.base.held_out,
            remedy="lower tune.instructions.least_history, or name other tasks",
        )
    return Made(made, counts.plain())


def tune_options(config: Config) -> TuneOptions:
    """The section of the config.

    Raises:
        UsageError: there is none.
    """
    if config.tune is None:
        raise UsageError("the config has no section `tune`", remedy="docs/llama4rec.md shows one")
    return config.tune


def prompt_options(config: Config) -> GenerationOptions:
    """What prompts look like: as in the section `generation`, or as they would in an empty one."""
    from augment.options import GenerationOptions
    from augrec.artefacts.registry import rebuild

    if config.generation is not None:
        return config.generation
    return rebuild(GenerationOptions).model_validate({"sources": {"none": {"engine": {"kind": "heuristic"}}}})


def _own(run: Run, chat: Chat, counts: Counts, duplicates: Any) -> Iterator[Instruction]:
    from augment.catalog import Catalog
    from augment.instructions.builder import InstructionBuilder
    from augment.prompts.presentation import Presentation
    from augment.prompts.rendering import Prompts
    from augment.tasks import TASKS
    from augment.tasks.base import Context
    from augrec.artefacts.held_out import read_held_out
    from augrec.artefacts.neighbours import read_neighbours

    config, options = run.config, tune_options(run.config)
    if not options.instructions.tasks:
        return
    assert config.base is not None  # the config was checked
    prompts = prompt_options(config)
    catalog = Catalog.load(run.files.dataset, base=run.files.base)
    catalog = catalog.presented(Presentation(prompts.item_text, options.instructions.titles, config.seed))
    catalog.require_titles()
    base, remedy = run.files.base, "run `augrec base` again"
    held_out = read_held_out(base.held_out, catalog.n_users, catalog.n_items, remedy=remedy)
    folds = sorted(set(held_out.fold.tolist()))
    builder = InstructionBuilder(
        catalog,
        held_out,
        {fold: read_neighbours(base.neighbours, catalog.n_users, fold, remedy=remedy) for fold in folds},
        options.instructions,
        dataset=str(read_json(run.files.dataset_json).get("name") or config.name),
        hint_source=config.base.model,
        seed=config.seed,
        reader=PromptLength(chat, options.max_length),
        counts=counts,
    )
    context = Context(catalog, Prompts(prompts.templates), prompts.max_history, config.seed)
    for name in options.instructions.tasks:
        yield from builder.of(TASKS[name](context, prompts.tasks.of(name)), duplicates.new)


def as_sequences(instructions: Iterable[Instruction], chat: Chat, most: int) -> Iterator[TokenSequence]:
    """Prompts and answers as the engine reads and writes them, token by token.

    Args:
        instructions: what is taught.
        chat: of the model that is taught.
        most: tokens of a prompt and its answer.

    Raises:
        DataError: an instruction is longer; its answer would have to be cut.
    """
    from augment.messages import Message

    for each in instructions:
        prompt = chat.tokens(tuple(Message(role, text) for role, text in each.prompt))  # type: ignore[arg-type]
        answer = chat.answer_tokens(each.completion)
        if len(prompt) + len(answer) > most:
            raise DataError(
                f"the instruction {each.id!r} has {len(prompt)} tokens and {len(answer)} of its answer, and at most "
                f"{most} are taken",
                where="tune.max_length",
                remedy=f"set it to at least {len(prompt) + len(answer)}, or make prompts shorter: "
                "generation.max_history, tune.instructions.list_size",
            )
        yield TokenSequence(each.id, (*prompt, *answer), len(prompt))
