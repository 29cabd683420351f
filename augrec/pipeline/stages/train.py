"""train: every variant with every seed, side by side where there are cores for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.run_folder import TrainingFolder
from augrec.pipeline.host.attempts import Attempts
from augrec.pipeline.stages.base import Piece, Resources, Run, Stage, Worker, require_marker
from augrec.pipeline.stages.beside import default_workers
from augrec.pipeline.stages.closed_forms import gpus_of_models
from augrec.pipeline.stages.selection import ByName

if TYPE_CHECKING:
    from augrec.pipeline.training.variant_training import Training


@dataclass(frozen=True)
class TrainingPiece(Piece):
    """One training; None while the stages before are not finished."""

    training: Training | None = None

    def done(self) -> bool:
        """See `Piece.done`: whether the training that this config asks for is there."""
        return self.training is not None and self.training.finished()


class Train(Stage):
    """Writes `train/<variant>/seed-<n>/` for every variant and seed. Trainings that are done are kept."""

    name = "train"
    help = "Train and evaluate every variant with every seed."
    after = ("prepare", "augment", "embed")
    per_variant = True
    pieces_name = "trainings"
    selection = ByName("--only", "training", "Only these trainings, e.g. llmrec/seed-1,llmrec/seed-2.")
    resources = Resources(
        array="train",
        per_task="trainings_per_task",
        per_task_default=5,
        per_task_help="Trainings that one array task runs, as many side by side as it has cores, or one by one on a "
        "GPU.",
        merge=None,
        merge_job="train-end",
        same_size=True,
    )

    def code(self, run: Run) -> tuple[str, ...]:
        """See `Stage.code`; with the models of all variants."""
        from augrec.pipeline.training.variant_training import code_of

        config = run.config
        families = {module for variant in config.variants.values() for module in code_of(config, variant)}
        return (*super().code(run), *sorted(families))

    def section(self, run: Run) -> dict[str, Any]:
        """See `Stage.section`: the variants, how they are trained and judged, and their seeds."""
        from augrec.pipeline.training.start_from import start_content
        from augrec.pipeline.training.variant_training import variant_identity

        config = run.config
        starts = {
            name: {seed: start_content(variant.start_from, seed, run.folder) for seed in config.seeds_of(name)}
            for name, variant in config.variants.items()
            if variant.start_from is not None
        }
        return {
            **({"starts": starts} if starts else {}),
            "variants": {name: variant_identity(config, variant) for name, variant in config.variants.items()},
            "training": config.training.model_dump(mode="json"),
            "evaluation": config.evaluation.model_dump(mode="json"),
            "seeds": {name: config.seeds_of(name) for name in config.variants},
        }

    def pieces(self, run: Run, *, known: bool = True) -> list[Piece]:
        """See `Stage.pieces`: a variant with a seed."""
        trainings = {(training.variant, training.seed): training for training in (trainings_of(run) if known else ())}
        pieces: list[Piece] = []
        for variant in run.config.variants:
            for seed in run.config.seeds_of(variant):
                training = trainings.get((variant, seed))
                files = TrainingFolder(training.out) if training else run.files.training(variant, seed)
                attempts = Attempts(files.attempts, training.fingerprint if training else None)
                name = f"{variant}/seed-{seed}"
                pieces.append(TrainingPiece(self.name, variant, seed, name, attempts, training=training))
        return pieces

    @contextmanager
    def worker(self, run: Run, group: str) -> Iterator[Worker]:
        """See `Stage.worker`."""
        yield _TrainingWorker(beside_others=run.beside > 1)

    def gpus(self, run: Run, group: str) -> int | None:
        """See `Stage.gpus`: 0 for a model that is computed in one go."""
        return gpus_of_models(run.config, [run.config.models[run.config.variants[group].model]])

    def processes(self, run: Run, wanted: int | None) -> int:
        """See `Stage.processes`: as many as the cores and the threads of a training allow, where nothing was said."""
        return wanted or default_workers(run.config)

    def result(self, piece: Piece) -> str:
        """See `Stage.result`: the monitored metric on validation."""
        assert isinstance(piece, TrainingPiece)
        assert piece.training is not None
        monitor = piece.training.config.training.monitor
        return f"valid {monitor} {piece.training.metrics()['valid'][monitor]:.4f}"

    def log_of(self, piece: Piece) -> Path | None:
        """See `Stage.log_of`."""
        assert isinstance(piece, TrainingPiece)
        return TrainingFolder(piece.training.out).log if piece.training else None

    def finished(self, run: Run, piece: Piece) -> None:
        """See `Stage.finished`: trackers are told of a training at once."""
        _tell_trackers(run, [run.files.training(piece.group, piece.number)])

    def finish(self, run: Run) -> dict[str, Any]:
        """See `Stage.finish`; trackers are told of what they have not been told of.

        Raises:
            AugrecError: trainings are not finished.
        """
        wanted = trainings_of(run)
        missing = [f"{training.variant}/seed-{training.seed}" for training in wanted if not training.finished()]
        if missing:
            raise AugrecError(f"these trainings are not finished: {', '.join(missing)}", where=self.folder(run))
        _tell_trackers(run, [TrainingFolder(training.out) for training in wanted])
        seeds = {training.seed for training in wanted}
        read = {path for training in wanted for path in training.reads}
        return {
            "trainings": len(wanted),
            "variants": len(run.config.variants),
            "seeds": len(seeds),
            "read": sorted(path.relative_to(run.folder).as_posix() for path in read),
        }

    def parts(self, run: Run) -> list[Path]:
        """See `Stage.parts`: a folder for each variant and seed."""
        return [
            run.files.training(variant, seed).root
            for variant in run.config.variants
            for seed in run.config.seeds_of(variant)
        ]

    def outputs(self, run: Run) -> Iterable[Path]:
        """See `Stage.outputs`: metrics, and their values for each user."""
        trainings = map(TrainingFolder, self.parts(run))
        return [path for training in trainings for path in (training.metrics, training.per_user)]

    def summary(self, details: dict[str, Any]) -> str:
        """See `Stage.summary`."""
        trainings, variants, seeds = (_counted(details, name) for name in ("trainings", "variants", "seeds"))
        return f"{trainings} ({variants} x {seeds})"


def _tell_trackers(run: Run, trainings: list[TrainingFolder]) -> None:
    if run.config.report_to:
        from augrec.pipeline.config.run_config import as_plain
        from augrec.pipeline.training.trackers import record_trainings

        record_trainings(run.config.report_to, run.config.name, run.files, as_plain(run.config), trainings)


def _counted(details: dict[str, Any], name: str) -> str:
    """1 training, 2 trainings."""
    return f"{details[name]} {name if details[name] != 1 else name[:-1]}"


def trainings_of(run: Run) -> list[Training]:
    """All trainings of a run whose stages before this one are finished."""
    from augrec.pipeline.training.variant_training import trainings

    return trainings(run.config, run.folder, require_marker(run, "prepare").content)


def finished_trainings(run: Run) -> list[Training]:
    """The finished trainings of a run, which may have come to any stage.

    Raises:
        DataError: a stage has not finished whose files trainings read.
    """
    for name in Train.after:
        require_marker(run, name)
    return [training for training in trainings_of(run) if training.finished()]


class _TrainingWorker(Worker):
    """Does trainings; those that run beside others keep to one thread unless the config says more."""

    def __init__(self, *, beside_others: bool) -> None:
        self._beside_others = beside_others

    def do(self, piece: Piece) -> int:
        from augrec.pipeline.training.variant_training import train_one

        assert isinstance(piece, TrainingPiece)
        assert piece.training is not None
        train_one(piece.training, self._beside_others)
        return 1
