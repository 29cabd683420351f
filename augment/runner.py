"""Runs one source over a data set: asks what is not answered yet, stores every answer, merges at the end."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from augment.accounting.endpoints import endpoints_of
from augment.accounting.energy import add_energy, energy_of
from augment.accounting.roofline import Peaks, roofline
from augment.accounting.summary import SECONDS_ARE, seconds_of
from augment.accounting.timeline import spent
from augment.catalog import Catalog
from augment.engines.base import Engine, EngineInputs
from augment.engines.registry import build_engine
from augment.hashes import draw_seed
from augment.options import GenerationOptions, SourceOptions
from augment.prompts.presentation import Presentation
from augment.question_identity import question_identity
from augment.replay.options import ReplayOptions
from augment.replay.replay import Replay
from augment.requests import drawn_users
from augment.source_pass import Pass
from augment.store.asked_keys import LastPass
from augment.store.made_by import engines_of, write_description
from augment.store.open_requests import OpenNote
from augment.store.store import Store
from augment.store.table import merge
from augment.store.under_way import UnderWay
from augment.tasks import Task, card_of
from augment.waves import Waves
from augrec.artefacts.energy import EnergyMeter
from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import write_json
from augrec.artefacts.source_folder import SourceFolder
from augrec.artefacts.tasks import write_card


def run_source(
    catalog: Catalog,
    name: str,
    source: SourceOptions,
    generation: GenerationOptions,
    *,
    folder: Path,
    seed: int,
    shards: Collection[int] | None = None,
    wave: int | None = None,
    engine: Engine | None = None,
) -> dict[str, Any]:
    """Answers everything a source is asked and writes `folder/<task>/records.parquet`. Resumable at any point.

    Args:
        catalog: what may be told to a model.
        name: the source's name, for progress.
        folder: R/augment/<source>.
        seed: the run's seed.
        shards: the shards this process answers, e.g. of one array task; only a run over all of them merges.
        wave: the wave of tasks that this process answers (`GenerationOptions.waves`): those that quote the answers to
            others come when these are answered, in all shards. None: one wave after the other.
        engine: what answers, unless records are replayed. None: the configured one, if it loads no weights.

    Returns:
        {"engine": what made most of the records, "engines": {name: what made how many of them},
        "tasks": {task: counts, tokens, seconds; with "reads" how many answers there were to quote},
        "seconds_are": what seconds mean,
        "users": how many were drawn to be asked about, where not all are; the others have no record,
        "recomputed": how many stored records were computed again, "recomputed_alike": how many gave the same text,
        "grammar_seconds": what the engine spent on grammars by kind, summed over all runs, {} where it does not say,
        "energy_joules": of the devices while generating, summed over all runs, None where none counts it,
        "endpoints": what each server was asked and gave by its address, summed over all runs; only where there are any,
        "open": where some were not answered, how many by task and reason; they have no record and are asked next time,
        before anything that quotes the answers of their wave,
        "damaged": where there were some, how many stored lines were set aside and asked again,
        "roofline": see `augment.accounting.roofline`, where a language model was run}.
        The tasks of a run over some shards are counted, not merged.

    Raises:
        EngineFailed: the engine or its server cannot go on; what was answered before is stored.
        AugrecError: the wave quotes answers that are not there yet.
    """
    if not source.engine.replays:
        catalog = catalog.presented(Presentation(generation.item_text, source.titles, seed))
        catalog.require_titles()
    files, part = SourceFolder(folder), _part(shards, wave)
    maker = _maker(catalog, source, engine, EngineInputs.beside(folder, part))
    waves = Waves(catalog, source, generation, folder, seed, maker)
    mine = [number for number in range(len(waves)) if wave in (None, number)]
    tasks = [task for number in mine for task in waves.tasks(number)]
    if not (source.engine.replays or catalog.has_candidates):
        _refuse_without_candidates(tasks, name)
    cards = {task.name: card_of(task) for task in tasks}
    for card in cards.values():
        write_card(files.task(card.name).card, card)
    store = Store(folder, cards, generation.shards, shards, catalog.ids)
    tables = {task: files.task(task).records_of(part) for task in cards}
    with ExitStack() as running:
        running.enter_context(maker)
        made_from = question_identity(catalog, source, generation, tasks, maker, draw_seed(seed, source.draw))
        read = dict.fromkeys([*store.paths, *(path for number in mine for path in waves.quoted_shards(number))])
        last = LastPass(folder, part, made_from, list(read), tables)
        kept = last.read()
        if kept is not None:
            OpenNote(folder, store.selected).clear()
            return kept | device_limits(source, kept, shards)
        with store:
            passes = _answered(waves, mine, store, source, generation.attempts, maker, f"augment {name}")
            running.close()  # an engine's memory is free while tables are merged
            users = drawn_users(catalog, source.users, seed, source.users_by)
            summary = _merged(passes, store, maker, tables, None if users is None else int(users.sum()))
            for task in tasks:
                summary["tasks"].get(task.name, {}).update(waves.summary(task))
        if _all_recorded(summary, passes, tables):
            last.write(summary)
    return summary | _of_these(passes, store) | device_limits(source, summary, shards)


def _maker(catalog: Catalog, source: SourceOptions, engine: Engine | None, inputs: EngineInputs) -> Engine | Replay:
    """What answers a source: its records where they are replayed, else the given engine, or the configured one."""
    if isinstance(source.engine, ReplayOptions):
        return Replay(source.engine, catalog)
    return engine or build_engine(source.engine, inputs)


def _answered(
    waves: Waves,
    mine: Sequence[int],
    store: Store,
    source: SourceOptions,
    attempts: int,
    maker: Engine | Replay,
    title: str,
) -> list[Pass]:
    """A pass over the questions of each wave, as long as the ones before it left nothing open, and its energy."""
    under_way = UnderWay(store.folder, store.selected, store) if source.engine.loads_weights else None
    passes: list[Pass] = []
    with EnergyMeter() as meter:
        for wave in mine:
            known, fatal = waves.asked_keys(wave), source.engine.records_fatal
            made = Pass(maker, store, waves.tasks(wave), attempts, known, under_way, fatal)
            made.check_labels()
            made.go(waves.questions(wave, store), title)
            waves.present |= made.present
            passes.append(made)
            if made.open:
                break
    started = any(made.started for made in passes)
    add_energy(store.folder, store.selected[0], meter.joules if started else None)
    if started:
        write_description(store.folder, maker)
    return passes


def _all_recorded(summary: dict[str, Any], passes: Iterable[Pass], tasks: Collection[str]) -> bool:
    """Whether every question of these tasks has its record in the tables."""
    counts = {task: len(present) for made in passes for task, present in made.present.items()}
    merged = summary["tasks"]
    return merged.keys() == set(tasks) and all(merged[task]["requests"] == count for task, count in counts.items())


def _of_these(passes: Sequence[Pass], store: Store) -> dict[str, Any]:
    """What the passes of this process did, for its summary; see `run_source`."""
    left = {task: reasons for made in passes for task, reasons in made.open.items()}
    return {
        "recomputed": sum(made.recomputed for made in passes),
        "recomputed_alike": sum(made.alike for made in passes),
        **({"open": left} if left else {}),
        **({"damaged": store.damaged} if store.damaged else {}),
    }


def _refuse_without_candidates(tasks: Iterable[Task], source: str) -> None:
    for task in tasks:
        if task.shows_candidates:
            what = f"{task.name}: the prompts show candidates, and none were computed"
            raise UsageError(what, where=source, remedy="run the candidates stage")


def _merged(
    passes: Iterable[Pass], store: Store, maker: Engine | Replay, tables: dict[str, Path], users: int | None
) -> dict[str, Any]:
    """Writes the tables; the summary of everything that is stored, whoever answered it."""
    summaries, tallies = {}, []
    pass_of = {task: one for one in passes for task in one.present}
    for task, run in pass_of.items():
        path = tables[task]
        tally = merge(store.records(task), run.present[task], path)
        asked = {name: counts.get(task) for name, counts in run.asked.items()}
        summaries[task] = tally.summary(seconds_of(store.folder, task)) | asked
        tallies.append(tally)
    described, made = engines_of(store.folder, maker, tallies)
    servers = endpoints_of(store.folder)
    told = {"endpoints": servers} if servers else {}
    write_json(SourceFolder(store.folder).engine_json, described | {"engines": made} | told)
    return {
        "engine": described,
        "engines": made,
        "tasks": summaries,
        "seconds_are": SECONDS_ARE,
        **({} if users is None else {"users": users}),
        "recomputed": 0,
        "recomputed_alike": 0,
        "grammar_seconds": spent(store.folder),
        "energy_joules": energy_of(store.folder),
        **told,
    }


def device_limits(source: SourceOptions, summary: dict[str, Any], shards: Collection[int] | None) -> dict[str, Any]:
    """What the device could do at most, of a whole source."""
    peaks = Peaks(*source.engine.peaks) if source.engine.peaks else None
    limits = roofline(summary["engine"], summary["tasks"], peaks) if shards is None else None
    return {} if limits is None else {"roofline": limits}


def _part(shards: Collection[int] | None, wave: int | None) -> str:
    """Tells the files of processes apart that answer parts of a source."""
    return ("" if shards is None else f"-{min(shards):05d}") + (f"-wave-{wave}" if wave else "")
