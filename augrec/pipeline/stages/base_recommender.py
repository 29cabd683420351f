"""base: a recommender, trained on all training interactions and without each fold of them, for hints in prompts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augrec.artefacts.counts import counted
from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import digest, remove_file, write_npy
from augrec.pipeline.host.attempts import Attempts
from augrec.pipeline.identity.metric_code import metric_modules
from augrec.pipeline.stages.base import Piece, Resources, Run, Stage, Worker
from augrec.pipeline.stages.beside import default_workers
from augrec.pipeline.stages.closed_forms import gpus_of_models
from augrec.pipeline.stages.selection import ByName

if TYPE_CHECKING:
    from augrec.pipeline.training.base_options import BaseOptions
    from augrec.pipeline.training.base_training import BaseTraining
    from recsys.data.dataset import Dataset
    from recsys.models.options.base import FamilyOptions


@dataclass(frozen=True)
class BasePiece(Piece):
    """One training of the base recommender."""

    training: BaseTraining | None = None

    def done(self) -> bool:
        """See `Piece.done`: whether its files are there and made from this config."""
        return self.training is not None and self.training.finished()


class BaseRecommender(Stage):
    """Writes `base/`: vectors of users and items, who is similar to whom, lists, and what folds hold out with scores.

    A piece is a training: on everything, or without a fold. No score in `held_out.parquet` comes from a model that has
    seen its interaction; the others are of items without one.
    """

    name = "base"
    help = "Train a base recommender, whole and without each fold, for the hints that prompts show."
    after = ("prepare",)
    section_name = "base"
    pieces_name = "trainings"
    selection = ByName("--only", "training", "Only these trainings, e.g. whole,fold-0,fold-1; nothing is merged.")
    resources = Resources(
        array="base-trainings",
        per_task="trainings_per_task",
        per_task_help="Trainings that one array task runs, as many side by side as it has cores.",
        same_size=True,
    )

    def code(self, run: Run) -> tuple[str, ...]:
        """See `Stage.code`; with the models that are trained."""
        from recsys.models.registry import FAMILIES

        families = [module for model in self._models(run) for module in FAMILIES[model.family].modules(model)]
        return (*super().code(run), *dict.fromkeys(families), *metric_modules())

    def section(self, run: Run) -> dict[str, Any]:
        """See `Stage.section`: the models, how they are trained and judged, and what is kept of them."""
        config = run.config
        training = config.training.model_dump(mode="json", exclude={"keep_checkpoint", "resume_minutes", "noise"})
        return {
            "base": _options(run).model_dump(mode="json", exclude={"model", "vectors"}),
            "models": [model.model_dump(mode="json") for model in self._models(run)],
            "training": training,
            "evaluation": config.evaluation.model_dump(mode="json"),
            "seed": config.seed,
        }

    def pieces(self, run: Run, *, known: bool = True) -> list[Piece]:
        """See `Stage.pieces`: the training on everything, and one without each fold."""
        from augrec.pipeline.training.base_training import base_trainings

        trainings = base_trainings(run.config, run.files, digest(self.identity(run)) if known else None)
        return [
            BasePiece(
                self.name,
                training.group,
                training.fold,
                training.name,
                Attempts(training.folder.attempts, training.fingerprint),
                training=training,
            )
            for training in trainings
        ]

    @contextmanager
    def worker(self, run: Run, group: str) -> Iterator[Worker]:
        """See `Stage.worker`."""
        yield _BaseWorker(beside_others=run.beside > 1)

    def gpus(self, run: Run, group: str) -> int | None:
        """See `Stage.gpus`: 0 for models that are computed in one go."""
        return gpus_of_models(run.config, self._models(run))

    def processes(self, run: Run, wanted: int | None) -> int:
        """See `Stage.processes`: as many as the cores and the threads of a training allow, where nothing was said."""
        return wanted or default_workers(run.config)

    def log_of(self, piece: Piece) -> Path | None:
        """See `Stage.log_of`."""
        assert isinstance(piece, BasePiece)
        return piece.training.folder.log if piece.training else None

    def finish(self, run: Run) -> dict[str, Any]:
        """See `Stage.finish`: what the trained models say, as files.

        Raises:
            AugrecError: trainings are not finished.
        """
        from augrec.artefacts.held_out import HeldOut, read_held_out, write_held_out
        from augrec.artefacts.neighbours import WHOLE, read_neighbours, write_neighbours
        from recsys.data.dataset import Dataset

        pieces = self.pieces(run)
        if missing := [piece.name for piece in pieces if not piece.done()]:
            raise AugrecError(f"these trainings are not finished: {', '.join(missing)}", where=self.folder(run))
        trainings = [piece.training for piece in pieces if isinstance(piece, BasePiece) and piece.training]
        dataset, base, remedy = Dataset.load(run.files.dataset, test=False), run.files.base, "run with `--force base`"
        (whole,) = (training for training in trainings if training.fold == WHOLE)
        listed = self._write_lists(run, whole, dataset)
        neighbours = {
            one.fold: read_neighbours(base.neighbours_of(one.name), dataset.n_users, one.fold, remedy=remedy)
            for one in trainings
        }
        write_neighbours(base.neighbours, neighbours)
        parts = [
            read_held_out(base.held_out_of(one.name), dataset.n_users, dataset.n_items, remedy=remedy)
            for one in trainings
            if one is not whole
        ]
        write_held_out(base.held_out, rows := HeldOut.joined(parts))
        return {
            "model": whole.model.family,
            "folds": len(parts),
            "held_out": int((~rows.drawn).sum()),
            "drawn": int(rows.drawn.sum()),
            "listed": listed,
            "with_neighbours": int((neighbours[WHOLE].starts[1:] > neighbours[WHOLE].starts[:-1]).sum()),
        }

    def outputs(self, run: Run) -> Iterable[Path]:
        """See `Stage.outputs`: what is merged; a model that predicts ratings has no vectors."""
        base = run.files.base
        vectors = (path for path in (base.users, base.items) if path.exists())
        return [base.lists, base.neighbours, base.held_out, *vectors]

    def summary(self, details: dict[str, Any]) -> str:
        """See `Stage.summary`."""
        return f"{counted(details['held_out'], 'interaction')} scored by {details['folds']} folds of {details['model']}"

    def notes(self, details: dict[str, Any]) -> list[str]:
        """See `Stage.notes`."""
        if details["with_neighbours"]:
            return []
        return ["nobody has a similar user: a model that predicts ratings has no embeddings of users; name one that "
                "has in base.vectors"]  # fmt: skip

    def _models(self, run: Run) -> list[FamilyOptions]:
        """The base model, and the one whose vectors say who is similar where that is another."""
        options = _options(run)
        names = dict.fromkeys(name for name in (options.model, options.vectors) if name is not None)
        return [run.config.models[name] for name in names]

    def _write_lists(self, run: Run, whole: BaseTraining, dataset: Dataset) -> int:
        """Vectors, where the model has them, and the best items of every user; how many are listed."""
        from recsys.evaluation.candidates import write_candidates
        from recsys.evaluation.pair_scores import rating_scorer
        from recsys.options import Judged

        base, recommender = run.files.base, whole.restored(dataset)
        for path in (base.users, base.items):
            remove_file(path)
        if whole.model.judged is Judged.RATING:
            scores = rating_scorer(recommender, dataset.n_items)
        else:
            scores = recommender.scorer("valid")
            for path, vectors in zip((base.users, base.items), recommender.embeddings("valid"), strict=True):
                write_npy(path, vectors.numpy())
        return write_candidates(scores, dataset, _options(run).list_size, base.lists, seed=run.config.seed)


def _options(run: Run) -> BaseOptions:
    assert run.config.base is not None
    return run.config.base


class _BaseWorker(Worker):
    """Does trainings of the base recommender."""

    def __init__(self, *, beside_others: bool) -> None:
        self._beside_others = beside_others

    def do(self, piece: Piece) -> int:
        assert isinstance(piece, BasePiece)
        assert piece.training is not None
        piece.training.do(beside_others=self._beside_others)
        return 1
