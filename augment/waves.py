"""The tasks of a source wave by wave: what each wave is asked, and the answers that its prompts quote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from augment.catalog import Catalog
from augment.engines.base import Engine
from augment.hashes import draw_seed
from augment.options import GenerationOptions, SourceOptions
from augment.prompts.rendering import Prompts
from augment.question_identity import question_identity
from augment.replay.options import ReplayOptions
from augment.replay.replay import Replay, replayed_task
from augment.requests import Questions, asker, drawn_users
from augment.store.answers import Answers
from augment.store.asked_keys import AskedKeys
from augment.store.request_index import KeyTable
from augment.store.store import Store
from augment.tasks import TASKS, Task, card_of
from augment.tasks.base import Context
from augrec.artefacts.errors import AugrecError
from augrec.artefacts.source_folder import SourceFolder


class Waves:
    """A source's tasks in the order in which they are asked.

    Args:
        catalog: what may be told to a model, as prompts show it.
        source: what is asked, and by what.
        generation: the section it stands in.
        folder: R/augment/<source>.
        seed: the run's seed.
        maker: what answers.
    """

    def __init__(
        self,
        catalog: Catalog,
        source: SourceOptions,
        generation: GenerationOptions,
        folder: Path,
        seed: int,
        maker: Engine | Replay,
    ) -> None:
        self._answers: dict[str, Answers] = {}
        self._catalog = catalog.quoting(self._answers)
        self._source, self._generation, self._folder, self._seed = source, generation, folder, seed
        self._maker, self._drawn = maker, draw_seed(seed, source.draw)
        prompts, terms = Prompts(generation.templates), source.engine.history_terms
        self._context = Context(self._catalog, prompts, generation.max_history, seed, terms)
        self._waves = [[self._task(name) for name in wave] for wave in generation.waves(source)]
        self._made_of: dict[int, str | None] = {}
        self.present: dict[str, KeyTable] = {}
        """The keys that passes of this process found, by task."""

    def __len__(self) -> int:
        return len(self._waves)

    def tasks(self, wave: int) -> list[Task]:
        """What a wave is asked."""
        return self._waves[wave]

    def questions(self, wave: int, store: Store) -> Questions:
        """The questions of a wave, in the shards of a store."""
        source, catalog = self._source, self._catalog
        ask = self._maker.questions if isinstance(self._maker, Replay) else asker(catalog, self._maker, self._drawn)
        users, longest = drawn_users(catalog, source.users, self._seed, source.users_by), self._generation.max_history
        return Questions(catalog, self.tasks(wave), ask, store.total, store.selected, users, longest)

    def asked_keys(self, wave: int) -> AskedKeys:
        """Where the keys of a wave's questions are kept. Reads what its prompts quote.

        Raises:
            AugrecError: they quote answers that are not there yet.
        """
        if wave not in self._made_of:
            self._quote(wave)
            quoted = {read: self._answers[read] for read in self.reads(wave)}
            self._made_of[wave] = question_identity(
                self._catalog, self._source, self._generation, self.tasks(wave), self._maker, self._drawn, quoted
            )
        return AskedKeys(self._folder, self._generation.shards, self._made_of[wave], wave)

    def reads(self, wave: int) -> list[str]:
        """The tasks whose answers a wave quotes."""
        if self._source.engine.replays:
            return []
        return sorted({read for task in self.tasks(wave) for read in task.reads})

    def quoted_shards(self, wave: int) -> Iterator[Path]:
        """The files that a wave's prompts depend on."""
        total, files = self._generation.shards, SourceFolder(self._folder)
        return (files.task(read).shard(n, total) for read in self.reads(wave) for n in range(total))

    def summary(self, task: Task) -> dict[str, dict[str, dict[str, int]]]:
        """How many answers a task had to quote, for its part of the summary; nothing where it quotes none."""
        reads = {read: self._answers[read].summary() for read in task.reads if read in self._answers}
        return {"reads": reads} if reads else {}

    def _task(self, name: str) -> Task:
        if isinstance(self._source.engine, ReplayOptions):
            return replayed_task(self._source.engine, name)
        return TASKS[name](self._context, self._generation.task_options(name, self._source))

    def _quote(self, wave: int) -> None:
        """Makes the answers that a wave reads known to its prompts."""
        for read in self.reads(wave):
            if read not in self._answers:
                earlier = next(n for n, tasks in enumerate(self._waves) if any(task.name == read for task in tasks))
                self._answers[read] = self._read(read, earlier)

    def _read(self, task: str, wave: int) -> Answers:
        card = card_of(next(one for one in self.tasks(wave) if one.name == task))
        present = self._present(task, wave)
        size = self._catalog.n_users if card.about == "user" else self._catalog.n_items
        total = self._generation.shards
        answers = Answers(self._folder, card, total, self._catalog.ids, size, present.has)
        if answers.records < len(present):
            self._refuse(task, f"{len(present) - answers.records:,} of its {len(present):,} requests are open")
        return answers

    def _present(self, task: str, wave: int) -> KeyTable:
        """The keys of a task's questions in all shards, as whoever asked them left them."""
        known = self.asked_keys(wave)
        if self._made_of[wave] is None:  # data without files: nobody else can have asked
            return self.present[task]
        present = KeyTable()
        for shard in range(self._generation.shards):
            keys = known.read(shard)
            if keys is None:
                self._refuse(task, f"its shard {shard} is not answered")
            for digest in keys.of(task):
                present.add_digest(digest)
        return present

    def _refuse(self, task: str, why: str) -> NoReturn:
        raise AugrecError(
            f"prompts quote the answers to {task}, and not all are there: {why}",
            where=self._folder,
            remedy="answer all shards of this task first; `augrec augment CONFIG` does everything in order",
        )
