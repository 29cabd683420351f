"""The pieces of work that may run beside each other: shards of a source, groups of matrices, trainings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augrec.artefacts.files import digest
from augrec.pipeline.code_identity import code_identity
from augrec.pipeline.host.attempts import Attempts
from augrec.pipeline.stages import STAGES
from augrec.pipeline.stages.augment import Augment, source_code
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.embed import embed_groups
from augrec.pipeline.stages.train import trainings_of
from augrec.pipeline.training import Training


@dataclass(frozen=True)
class Unit:
    """One piece of work.

    `known` says whether the stages before it are finished, so that what it is made from can be told at all.
    """

    stage: str
    group: str
    """The source, the group of matrices, or the variant."""
    number: int
    """The shard or the seed; 0 for a group of matrices."""
    attempts: Attempts
    training: Training | None = None

    @property
    def name(self) -> str:
        """How the command line and messages call it."""
        if self.stage == "augment":
            return f"{self.group} {self.number}"
        return f"{self.group}/seed-{self.number}" if self.stage == "train" else self.group

    @property
    def lock(self) -> Path:
        """The file to lock while working on it."""
        return self.attempts.path.with_suffix(".lock")

    def done(self) -> bool:
        """Whether its result is there."""
        if self.attempts.fingerprint is None:
            return False
        return self.training.finished() if self.training else self.attempts.state().outcome == "done"


def units(run: Run, stage: str, *, known: bool = True) -> list[Unit]:
    """All pieces of a stage; none for a stage that is done in one go.

    Args:
        run: the run.
        stage: its name.
        known: whether the stages before it are finished; if not, no piece counts as done.
    """
    return {"augment": _shards, "embed": _matrices, "train": _trainings}.get(stage, lambda *_: [])(run, known)


def _shards(run: Run, known: bool) -> list[Unit]:
    generation = run.config.generation
    found: list[Unit] = []
    identity = STAGES["augment"].identity(run) if known else None
    for source in generation.sources if generation else ():
        folder = run.folder / "augment" / source / "attempts"
        fingerprint = digest(_of_source(identity, run, source)) if identity else None
        for shard in range(generation.shards if generation else 0):
            found.append(Unit("augment", source, shard, Attempts(folder / f"{shard:05d}.jsonl", fingerprint)))
    return found


def _of_source(identity: dict[str, Any], run: Run, source: str) -> dict[str, Any]:
    """The stage's identity without what only concerns other sources."""
    assert run.config.generation is not None
    options, section = run.config.generation.sources[source], dict(identity["section"])
    for key in ("models", "files"):
        section[key] = section.get(key, {}).get(source)
    generation = section["generation"]
    tasks = {task: generation["tasks"][task] for task in options.tasks}
    section["generation"] = {**generation, "sources": generation["sources"][source], "tasks": tasks}
    return {**identity, "section": section, "code": code_identity((Augment.__module__, *source_code(options)))}


def _matrices(run: Run, known: bool) -> list[Unit]:
    fingerprint = digest(STAGES["embed"].identity(run)) if known else None
    folder = run.folder / "embed"
    return [Unit("embed", group, 0, Attempts(folder / f"{group}.jsonl", fingerprint)) for group in embed_groups(run)]


def _trainings(run: Run, known: bool) -> list[Unit]:
    if known:
        return [
            Unit("train", one.variant, one.seed, Attempts(one.out / "attempts.jsonl", one.fingerprint), one)
            for one in trainings_of(run)
        ]
    named = [(variant, seed) for variant in run.config.variants for seed in run.config.seeds_of(variant)]
    folder = run.folder / "train"
    return [
        Unit("train", variant, seed, Attempts(folder / variant / f"seed-{seed}" / "attempts.jsonl", None))
        for variant, seed in named
    ]
