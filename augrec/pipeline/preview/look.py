"""A run's prompts source by source, and what each source will take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from augment.accounting.devices import devices_called
from augment.accounting.model_figures import Figures, model_figures
from augment.accounting.roofline import Peaks, known_peaks
from augment.catalog import Catalog
from augment.engines.vllm.number_format import built_for_cpu
from augment.options import GenerationOptions, SourceOptions
from augment.preview.questions import Preview, Reader, TaskPreview, asked_users, sampled_entities
from augment.preview.stand_ins import hints_by_popularity, popular_lists
from augment.prompts.presentation import Presentation
from augment.tasks import Task
from augrec.artefacts.counts import counted
from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.names import suggestion
from augrec.pipeline.preflight.engines import gpus_here, look_at_adapter
from augrec.pipeline.preview.data import Material, material
from augrec.pipeline.preview.estimate import SourceEstimate, estimate, read_measured, require_measured
from augrec.pipeline.reranking.asking import asked_about_lists
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.finished_answers import answers_of
from augrec.pipeline.stages.rerank import SPLITS
from augrec.pipeline.weights import find_folder
from recsys.options import Judged


@dataclass(frozen=True)
class PreviewOptions:
    """What a preview shows, and by what it estimates.

    Args:
        source, task: only these; None for all.
        user, item: whose prompts are shown, by the ids of the data's source; None: those that the seed draws.
        show: users and items whose prompts are shown, of each task.
        sample: users and items of which the estimate is made.
        gpu: a kind of GPU, for what it can do at most.
        like: a finished run, for its measured rate.
        tokenizer: a model's folder, for engines whose model is not here.
    """

    source: str | None = None
    task: str | None = None
    user: str | None = None
    item: str | None = None
    show: int = 1
    sample: int = 20
    gpu: str | None = None
    like: Path | None = None
    tokenizer: Path | None = None


@dataclass(frozen=True)
class SourcePreview:
    """One source.

    Args:
        source: its name.
        engine: the kind of its engine.
        model: that is asked, if any.
        notes: what is to be known of how this was made.
        tasks: what it is asked.
        estimate: what that takes; None for a source that asks nobody.
    """

    source: str
    engine: str
    model: str | None
    notes: tuple[str, ...]
    tasks: tuple[TaskPreview, ...] = ()
    estimate: SourceEstimate | None = None


def look(run: Run, asked: PreviewOptions) -> list[SourcePreview]:
    """The prompts of a run and what they will take. No engine is started, and nothing is written into the run folder.

    Raises:
        UsageError: a source, a task, a user or an item that is named is not there.
        AugrecError: the data cannot be prepared.
    """
    generation = run.config.generation
    if generation is None:
        raise UsageError("the config has no section `generation`, so nobody is asked anything", where=run.config.name)
    sources = _named(asked.source, generation.sources, "source")
    parts = [part for name in sources for part in _parts(run, name, generation)]
    if asked.task is not None:
        _named(asked.task, {task: None for part in parts for task in part.source.tasks}, "task")
    with material(run) as there:
        return [_look_at(run, part, there, asked) for part in parts if part.asks(asked.task)]


def _named(name: str | None, known: Any, what: str) -> list[str]:
    if name is None:
        return list(known)
    if name not in known:
        raise UsageError(
            f"there is no {what} '{name}'", remedy=f"{suggestion(name, list(known))}one of {', '.join(known)}"
        )
    return [name]


@dataclass(frozen=True)
class _Part:
    """What a source is asked in one stage.

    Args:
        name: of the source.
        source, generation: what is asked.
        lists: how many items of a list are judged, in the stage rerank; None while augmenting.
        times: how many lists every user has.
        notes: what is to be known of it.
    """

    name: str
    source: SourceOptions
    generation: GenerationOptions
    lists: int | None = None
    times: int = 1
    notes: tuple[str, ...] = ()

    def asks(self, task: str | None) -> bool:
        """Whether it asks anything that is wanted."""
        return task is None or task in self.source.tasks


def _parts(run: Run, name: str, generation: GenerationOptions) -> Iterator[_Part]:
    """What a source is asked while augmenting, and about lists of trained models."""
    config, source = run.config, generation.sources[name]
    if source.tasks or config.rerank is None:
        yield _Part(name, source, generation)
    if config.rerank is None or config.rerank.source != name:
        return
    size, trainings = config.rerank.list_size, sum(len(config.seeds_of(each)) for each in config.rerank.variants)
    notes = [f"rerank: every user is asked about the lists of {counted(trainings, 'training')} on {len(SPLITS)} splits"]
    if any(config.models[config.variants[each].model].judged is Judged.RATING for each in config.rerank.variants):
        notes.append(f"a list of ratings is as long as a user has held-out items; here it has {size}")
    asked, generation = asked_about_lists(config, size)
    yield _Part(name, asked, generation, size, trainings * len(SPLITS), tuple(notes))


def _look_at(run: Run, part: _Part, there: Material, asked: PreviewOptions) -> SourcePreview:
    name, source, generation = part.name, part.source, part.generation
    engine: Any = source.engine
    model = getattr(engine, "model", None)
    if engine.replays:
        return SourcePreview(name, engine.kind, model, (f"copies the records of {engine.records} and asks nobody",))
    reader, notes = _reader(engine, asked.tokenizer)
    notes += part.notes
    if not engine.writes_text:
        notes.append("answers by rules: no prompt is sent")
    if engine.loads_weights and asked.gpu is None and not gpus_here() and built_for_cpu():
        notes += [f"{found.what}; {found.remedy}" for found in look_at_adapter(run, name)]
    if not there.own:
        notes.append("the data were prepared for this preview and are not kept")
    catalog = there.catalog.presented(Presentation(generation.item_text, source.titles, run.config.seed))
    catalog.require_titles()
    users = asked_users(catalog, source, run.config.seed)
    chosen = _Chosen(catalog, users, asked, run.config.seed)
    shown, stand_ins = _with_stand_ins(catalog, there, chosen, run, part.lists)
    answers = answers_of(run, name, {"user": catalog.n_users, "item": catalog.n_items}) if there.own else {}
    preview = Preview(shown, users, source, generation, run.config.seed, reader, answers)
    previewed = []
    for task in preview.tasks:
        if asked.task in (None, task.name):
            stands = [words for what, words in stand_ins.items() if what in _shows(task)]
            once = preview.of(task, chosen.sampled(task), chosen.shown(task), stands)
            previewed.append(once.asked_again(part.times))
    return SourcePreview(
        name, engine.kind, model, tuple(notes), tuple(previewed), _estimated(run, name, engine, previewed, asked)
    )


def _reader(engine: Any, tokenizer: Path | None) -> tuple[Reader, list[str]]:
    """Counts tokens by the model's tokenizer where one is at hand; and what is to be known of it."""
    context = getattr(engine, "max_model_len", None)
    if tokenizer is None and engine.loads_weights:
        tokenizer = Path(engine.tokenizer) if getattr(engine, "tokenizer", None) else _folder_of(engine.model)
    if tokenizer is None:
        return Reader(None, context), ["no tokenizer is at hand: tokens are letters / 4, and nothing is shortened"]
    from augment.engines.vllm.chat import Chat  # brings transformers

    return Reader(Chat(tokenizer, getattr(engine, "chat_template_kwargs", {})), context), []


def _folder_of(model: str) -> Path | None:
    try:
        return find_folder(model)
    except AugrecError:
        return None


class _Chosen:
    """Whose prompts are made, and whose are shown."""

    def __init__(self, catalog: Catalog, users: np.ndarray, asked: PreviewOptions, seed: int) -> None:
        self._users, self._n_items, self._asked, self._seed = users, catalog.n_items, asked, seed
        self._named = {
            "user": _entity(catalog, "user", asked.user),
            "item": _entity(catalog, "item", asked.item),
        }

    def sampled(self, task: Task) -> list[int]:
        """Those of which the estimate is made."""
        return sampled_entities(task, self._users, self._n_items, self._asked.sample, self._seed)

    def shown(self, task: Task) -> list[int]:
        """Those whose prompts are shown."""
        named = self._named[task.about]
        if named is not None:
            return [named]
        if any(other is not None for other in self._named.values()):
            return []  # somebody else was asked for
        drawn = sampled_entities(
            task, self._users, self._n_items, max(self._asked.sample, self._asked.show), self._seed
        )
        return drawn[: self._asked.show]

    def users(self) -> list[int]:
        """All users whose prompts may be made."""
        drawn = np.random.default_rng(self._seed).permutation(int(self._users.sum()))
        some = np.flatnonzero(self._users)[drawn[: max(self._asked.sample, self._asked.show)]].tolist()
        named = self._named["user"]
        return sorted({*some, *([] if named is None else [named])})


def _entity(catalog: Catalog, about: Any, source_id: str | None) -> int | None:
    if source_id is None:
        return None
    found = catalog.ids.find(about, source_id)
    if found is None:
        few = ", ".join(catalog.source_ids(about)[:5])
        raise UsageError(
            f"no {about} of the prepared data has the id '{source_id}'",
            remedy=f"ids are those of the data's source, e.g. {few}; filters may have left this one out",
        )
    return int(found)


def _with_stand_ins(
    catalog: Catalog, there: Material, chosen: _Chosen, run: Run, size: int | None
) -> tuple[Catalog, dict[str, str]]:
    """The catalogue with lists and hints, and in words which of them stand in for what is not there.

    Args:
        catalog: as prompts show it.
        there: what the run has.
        chosen: whose prompts are made.
        run: the run.
        size: of the lists of trained models that are judged; None: candidates are shown.
    """
    stand_ins: dict[str, str] = {}
    users = chosen.users()
    lists = popular_lists(catalog, users, max(run.config.candidates.size, 50))
    if run.config.base is not None and not there.has_hints:
        catalog.hints = hints_by_popularity(catalog, lists)
        stand_ins["hints"] = "hints: the next user for the similar one, popularity for predictions"
    if size is not None:
        catalog = catalog.listing(popular_lists(catalog, users, size))
        stand_ins["candidates"] = "lists of trained models: the most popular items that the user does not know"
    elif not catalog.has_candidates:
        catalog = catalog.listing(popular_lists(catalog, users, run.config.candidates.size))
        stand_ins["candidates"] = "candidates: the most popular items that the user does not know"
    return catalog, stand_ins


def _shows(task: Task) -> Iterator[str]:
    """What a task's prompts show of earlier stages."""
    if task.options.needs_hints:
        yield "hints"
    if task.shows_candidates:
        yield "candidates"


def _estimated(run: Run, name: str, engine: Any, tasks: Sequence[TaskPreview], asked: PreviewOptions) -> SourceEstimate:
    model = getattr(engine, "model", None)
    if not engine.writes_text:
        return estimate(tasks, None, None, "rules take no time to speak of")
    if asked.like is not None:
        return estimate(tasks, require_measured(asked.like, name, model), None, "")
    measured = read_measured(run.folder, name, model)
    if measured is not None and asked.gpu is None:
        return estimate(tasks, measured, None, "")
    bound, unknown = _bound(engine, asked.gpu)
    return estimate(tasks, None, bound, f"rate unknown: {unknown}")


def rates_known(run: Run) -> bool:
    """Whether the time of any source can be said, before its prompts are made."""
    generation = run.config.generation
    for name, source in (generation.sources if generation else {}).items():
        engine: Any = source.engine
        if not engine.replays and engine.writes_text:
            model = getattr(engine, "model", None)
            if read_measured(run.folder, name, model) is not None or _bound(engine, None)[0] is not None:
                return True
    return False


def _bound(engine: Any, gpu: str | None) -> tuple[tuple[Figures, Peaks, int, int] | None, str]:
    """What a device can do at most with the engine's model, or why that is not known."""
    if not engine.loads_weights:
        return None, "the model and the device of a server are not known here; --like RUN names a run to go by"
    peaks = _peaks(engine, gpu)
    if peaks is None:
        return None, "no GPU is named or known here; --gpu NAME names one, --like RUN a run to go by"
    folder = _folder_of(engine.model)
    figures = model_figures(folder) if folder else {"unknown": "it is not there, or was not converted yet"}
    if "unknown" in figures:
        return None, f"the model's size is not known: {figures['unknown']}"
    return (Figures(**figures), peaks, engine.gpus, engine.max_num_seqs), ""


def _peaks(engine: Any, gpu: str | None) -> Peaks | None:
    """Of the named kind of GPU, of the options, or of the GPU here."""
    if gpu is not None:
        found = devices_called(gpu)
        if not found:
            raise UsageError(
                f"no GPU is called '{gpu}'", remedy="name e.g. h100, h200, a100-80gb, l40s, or as its driver does"
            )
        return min((device.peaks for device in found), key=lambda peaks: (peaks.flops, peaks.bytes_per_second))
    if engine.peaks:
        return Peaks(*engine.peaks)
    names = [one.called.rpartition(" (")[0] for one in gpus_here()]
    return next((peaks for name in names if (peaks := known_peaks(name))), None)
