"""rerank: a language model judges what variants list, and its word joins the recommender's, per user."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from augrec.artefacts.counts import counted
from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import digest, write_json
from augrec.artefacts.run_folder import TrainingFolder
from augrec.pipeline.host.attempts import Attempts
from augrec.pipeline.identity.code_identity import code_identity
from augrec.pipeline.stages.augment import (
    answering_source,
    engine_of,
    gpus_of_source,
    refuse_unanswered,
    source_code,
    source_model,
    stoppable,
)
from augrec.pipeline.stages.base import Piece, Resources, Run, Stage, Worker
from augrec.pipeline.stages.selection import ByName

if TYPE_CHECKING:
    from augment.engines.stoppable import StoppableEngine
    from augrec.pipeline.training.variant_training import Training

Split = Literal["valid", "test"]
SPLITS: tuple[Split, Split] = ("valid", "test")
"""Weights are chosen on the first and used on the second."""


@dataclass(frozen=True)
class RerankPiece(Piece):
    """What one training lists on one split; the training is None while the stages before are not finished."""

    variant: str = ""
    seed: int = 0
    split: Split = "valid"
    training: Training | None = None


class Rerank(Stage):
    """Writes `rerank/<variant>/seed-<n>/<split>/` (lists and answers) and a folder like a training's for each row.

    A row is a variant with a task, `lightgcn+ranking`, or a control of it.
    """

    name = "rerank"
    help = "Let a language model rank or rate the variants' lists, and blend both."
    after = ("prepare", "base", "tune", "augment", "embed", "train")
    section_name = "rerank"
    per_variant = True
    pieces_name = "lists"
    selection = ByName("--only", "lists", "Only these lists, e.g. lightgcn/seed-1/valid,lightgcn/seed-1/test.")
    resources = Resources(
        costly_start=True,
        array_per_group=True,
        per_task="lists_per_task",
        per_task_default=10,
        per_task_help="Lists (a training's of one split) that one array task asks about in turn: an engine takes "
        "minutes to start.",
        merge=("--merge",),
        merge_job="rerank-end",
    )

    def code(self, run: Run) -> tuple[str, ...]:
        """See `Stage.code`; with the models, the engine and the tasks."""
        return (*self._asking(run), *self._models(run))

    def _asking(self, run: Run) -> tuple[str, ...]:
        options, generation = run.config.rerank, run.config.generation
        assert options is not None
        assert generation is not None
        return (*super().code(run), *source_code(generation.sources[options.source], options.tasks))

    def _models(self, run: Run) -> tuple[str, ...]:
        from augrec.pipeline.training.variant_training import code_of

        assert run.config.rerank is not None
        variants = (run.config.variants[name] for name in run.config.rerank.variants)
        return tuple(sorted({module for variant in variants for module in code_of(run.config, variant)}))

    def section(self, run: Run) -> dict[str, Any]:
        """See `Stage.section`: the options, the source that answers, its weights and the templates by their content."""
        config = run.config
        assert config.rerank is not None
        return {
            "rerank": config.rerank.model_dump(mode="json"),
            "evaluation": config.evaluation.model_dump(mode="json"),
            "asked": self._asked(run),
            "seeds": {name: config.seeds_of(name) for name in config.rerank.variants},
        }

    def _asked(self, run: Run) -> dict[str, Any]:
        """What decides an answer, beside the lists and the data."""
        from augment.prompts.rendering import replaced_templates

        config, options, generation = run.config, run.config.rerank, run.config.generation
        assert options is not None
        assert generation is not None
        source, answering = generation.sources[options.source], answering_source(run, options.source)
        model = source_model(answering)
        engine = source.engine.model_dump(mode="json", exclude=set(source.engine.changes_no_answer))
        if model is not None:
            del engine["model"]  # a name or a folder, and the hash says which weights
        return {
            "engine": engine,
            "model": None if model is None else model.sha256,
            "files": answering.engine.file_hashes(),
            "titles": source.titles,
            "tasks": {task: generation.tasks.of(task).model_dump(mode="json") for task in options.tasks},
            "generation": generation.model_dump(
                mode="json", include={"max_history", "item_text", "attempts", "shards"}
            ),
            "templates": replaced_templates(generation.templates),
            "list_size": options.list_size,
            "users": options.users,
            "seed": config.seed,
        }

    def pieces(self, run: Run, *, known: bool = True) -> list[Piece]:
        """See `Stage.pieces`: what a training lists on a split."""
        options = run.config.rerank
        if options is None:
            return []
        trainings = _trainings(run) if known else {}
        shared = {"code": code_identity(self.code(run)), "asked": self._asked(run)} if known else {}
        pieces: list[Piece] = []
        for variant in options.variants:
            for seed in run.config.seeds_of(variant):
                training = trainings.get((variant, seed))
                for split in SPLITS:
                    there = run.files.reranking(variant, seed, split)
                    made_of = None if training is None else digest({**shared, "training": training.fingerprint})
                    name = f"{variant}/seed-{seed}/{split}"
                    attempts = Attempts(there.attempts, made_of)
                    piece = (self.name, options.source, len(pieces), name, attempts)
                    pieces.append(RerankPiece(*piece, variant=variant, seed=seed, split=split, training=training))
        return pieces

    @contextmanager
    def worker(self, run: Run, group: str) -> Iterator[Worker]:
        """See `Stage.worker`: the source's engine, which starts with the first question that it is asked."""
        with self._asker(run, f"-{os.environ.get('SLURM_JOB_ID', os.getpid())}") as asker:
            yield asker

    @contextmanager
    def _asker(self, run: Run, suffix: str = "") -> Iterator[_Asking]:
        assert run.config.rerank is not None
        run.files.rerank.mkdir(parents=True, exist_ok=True)
        engine = engine_of(run, run.config.rerank.source, None, suffix, run.files.rerank)
        with engine or nullcontext():
            yield _Asking(run, stoppable(engine, run) if engine else None)

    def gpus(self, run: Run, group: str) -> int | None:
        """See `Stage.gpus`: as many as the source's engine says, 0 where it needs none."""
        return gpus_of_source(run, group)

    def finish(self, run: Run) -> dict[str, Any]:
        """See `Stage.finish`: asks what is open, then makes the rows of every training.

        Raises:
            AugrecError: requests have no record; the same command goes on with them.
        """
        from augrec.pipeline.reranking.rows import Rows
        from recsys.data.dataset import Dataset

        pieces = self.pieces(run)
        waiting = [piece for piece in pieces if not piece.done()]
        if waiting:
            with self._asker(run) as asker:
                for piece in waiting:
                    run.stop.check()
                    answers = asker.do(piece)
                    piece.attempts.begin()
                    piece.attempts.end("done", answers=answers)
        dataset = Dataset.load(run.files.dataset)
        made: list[dict[str, Any]] = []
        identity = digest(self._asked(run))
        for (variant, _), training in _trainings(run).items():
            wanted = [row for row in run.config.reranked.values() if row.variant == variant]
            if wanted:
                rows = Rows.of(training, dataset, identity)
                made += [rows.write(row) for row in wanted]
        write_json(run.files.rerank_summary, {"rows": made, "list_size": run.config.rerank.list_size})  # type: ignore[union-attr]
        questions = [answers for row in made if not row["control"] for answers in row["answers"].values()]
        return {
            "rows": len(run.config.reranked),
            "questions": sum(answers["questions"] for answers in questions),
            "failed": sum(answers["failed"] for answers in questions),
        }

    def outputs(self, run: Run) -> Iterable[Path]:
        """See `Stage.outputs`: lists, answers, and what every row was judged with."""
        assert run.config.rerank is not None
        for piece in self.pieces(run, known=False):
            assert isinstance(piece, RerankPiece)
            there = run.files.reranking(piece.variant, piece.seed, piece.split)
            tasks = [there.answers.task(task) for task in run.config.rerank.tasks]
            yield from (there.lists, *(path for task in tasks for path in (task.records, task.card)))
        for row in self._rows(run):
            yield from (row.metrics, row.per_user, row.lists)
        yield run.files.rerank_summary

    def _rows(self, run: Run) -> list[TrainingFolder]:
        return [
            run.files.reranked(row.name, seed)
            for row in run.config.reranked.values()
            for seed in run.config.seeds_of(row.variant)
        ]

    def parts(self, run: Run) -> list[Path]:
        """See `Stage.parts`: the folders of trainings and of rows."""
        pieces = [piece for piece in self.pieces(run, known=False) if isinstance(piece, RerankPiece)]
        asked = [run.files.reranking(piece.variant, piece.seed, piece.split).root for piece in pieces]
        return [*asked, *(row.root for row in self._rows(run))]

    def summary(self, details: dict[str, Any]) -> str:
        """See `Stage.summary`."""
        asked = f"{counted(details['rows'], 'row')}, {counted(details['questions'], 'question')}"
        return f"{asked}, {details['failed']:,} failed"


class _Asking(Worker):
    """Lists what trainings say, and asks about it."""

    def __init__(self, run: Run, engine: StoppableEngine | None) -> None:
        self._run, self._engine = run, engine
        self._answered_before = 0

    def do(self, piece: Piece) -> int:
        from augrec.pipeline.reranking.asking import ask_about
        from augrec.pipeline.reranking.lists import write_lists

        assert isinstance(piece, RerankPiece)
        if piece.training is None:
            raise AugrecError("the trainings are not finished", where=self._run.files.train)
        there = self._run.files.reranking(piece.variant, piece.seed, piece.split)
        self._answered_before = self._engine.answered if self._engine else 0
        write_lists(piece.training, piece.split)
        summary = ask_about(piece.training, there, self._engine, title=piece.name)
        if "open" in summary:
            refuse_unanswered({piece.name: there.answers.root}, there.root)
        write_json(there.summary, summary)
        return sum(task["requests"] for task in summary["tasks"].values())

    def progress(self) -> int:
        """Answers since the lists at hand were begun."""
        return self._engine.answered - self._answered_before if self._engine else 0


def _trainings(run: Run) -> dict[tuple[str, int], Training]:
    from augrec.pipeline.stages.train import trainings_of

    return {(training.variant, training.seed): training for training in trainings_of(run)}
