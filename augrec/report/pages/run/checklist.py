"""What a reader needs to repeat a run, or to believe it, as a list that the run folder itself answers.

Papers on recommendation with language models often leave out what decides their results: the prompts, which weights
answered, how answers were sampled, whether baselines were tuned as much as the proposal, what it cost. Each of these
is a line here. A line that the folder cannot answer says so, and what would answer it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from augrec.artefacts.files import read_json, sha256_file
from augrec.artefacts.named import matrix_facts
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.study_folder import SearchFolder
from augrec.artefacts.treatments import changes
from augrec.report.measures.spending import co2_grams, read_spending
from augrec.report.numbers.variants import Trained
from augrec.report.options import ReportOptions
from augrec.report.pages.run.facts import flatten
from augrec.report.render.safe_text import markdown_cell
from augrec.report.render.wording import counted, energy, grams, per_cent, seconds
from augrec.report.sources import is_llm

Shown = Mapping[str, Any]
"""Part of a JSON or YAML file."""


@dataclass(frozen=True)
class Item:
    """One question, what the folder answers (None: nothing), and what would answer it."""

    asked: str
    told: str | None
    remedy: str = "the folder does not say; run the stage again with this version"


@dataclass(frozen=True)
class Checklist:
    """The questions by heading."""

    title: str
    groups: tuple[tuple[str, tuple[Item, ...]], ...]

    @property
    def items(self) -> list[Item]:
        """All of them."""
        return [item for _, items in self.groups for item in items]

    @property
    def missing(self) -> int:
        """How many have no answer."""
        return sum(item.told is None for item in self.items)

    def sentence(self) -> str:
        """How much is answered."""
        answered = len(self.items) - self.missing
        return (
            f"{answered} of {counted(len(self.items), 'question')} answered by the run folder, {self.missing} missing."
        )

    def markdown(self) -> str:
        """As GitHub shows lists of tasks; text from files and models acts nowhere."""
        lines = [f"# {markdown_cell(self.title)}: reproducibility", "", self.sentence()]
        for heading, items in self.groups:
            lines += ["", f"## {markdown_cell(heading)}", "", *map(_line, items)]
        return "\n".join(lines) + "\n"


def _line(item: Item) -> str:
    if item.told is None:
        return f"- [ ] **{markdown_cell(item.asked)}**: missing ({markdown_cell(item.remedy)})"
    return f"- [x] **{markdown_cell(item.asked)}**: {markdown_cell(item.told)}"


def read_checklist(
    run: RunFolder, config: Shown, trained: Mapping[str, Trained], options: ReportOptions, stages: Sequence[str]
) -> Checklist:
    """Fills the list from a run folder.

    Args:
        run: the folder.
        config: its resolved config.
        trained: the variants that the page shows.
        options: what is compared with what.
        stages: the folders of the stages that made the run.
    """
    markers = {name: read_json(path) for name in stages if (path := run.stage_marker(name)).exists()}
    dataset = read_json(run.dataset_json) if run.dataset_json.exists() else {}
    groups = [
        ("Data", _data(dataset)),
        *_language_models(run, config, markers),
        ("Recommenders and their tuning", _recommenders(run, config, trained)),
        ("Evaluation", _evaluation(run, config, trained, options)),
        ("Hardware, time and energy", _cost(run, trained, options, markers)),
        ("Code", _code(run, markers)),
    ]
    return Checklist(options.title, tuple((heading, tuple(items)) for heading, items in groups))


def _data(dataset: Shown) -> Iterator[Item]:
    source, protocol = dataset.get("source") or {}, dataset.get("protocol") or {}
    files = {name: sha for name, sha in (source.get("files") or {}).items() if sha}
    yield Item("data set", _said(dataset.get("name")), "give dataset.name")
    yield Item("its files, by sha256", _pairs(files), "prepare the data again with this version")
    yield Item("licence", _said(dataset.get("licence")), "give dataset.licence")
    yield Item("filters and split, with their seed", _flat(protocol))
    yield Item("sha256 of the split", _said(dataset.get("split_sha256")))
    yield Item("users, items and interactions by split", _flat(dataset.get("counts") or {}))
    yield Item("how the split stands to time", _said(protocol.get("time")), "the data have no times")


def _language_models(run: RunFolder, config: Shown, markers: Shown) -> Iterator[tuple[str, Iterator[Item]]]:
    generation, summary = config.get("generation") or {}, read_json(run.summary) if run.summary.exists() else {}
    made = (markers.get(run.augment.name) or {}).get("identity") or {}
    for name, source in (generation.get("sources") or {}).items():
        written = (summary.get("sources") or {}).get(name) or {}
        engine = written.get("engine") or {}
        kind = "language model" if is_llm(engine) else "rules"
        yield f"Source {name} ({kind})", _source(run, name, source, generation, written, made)


def _source(run: RunFolder, name: str, source: Shown, generation: Shown, written: Shown, made: Shown) -> Iterator[Item]:
    engine, llm = written.get("engine") or {}, is_llm(written.get("engine") or {})
    section, tasks = made.get("section") or {}, list(source.get("tasks") or [])
    if llm:
        yield Item("model and its revision", _pairs({k: engine.get(k) for k in ("model", "revision")}))
        unknown = "the engine does not know its weights: a server behind an address answered"
        yield Item("weights, by sha256", _said(engine.get("model_sha256")), unknown)
        others = {key: engine.get(f"{key}_sha256") for key in ("tokenizer", "chat_template", "lora")}
        yield Item("tokenizer, chat template and adapter, by sha256", _pairs(others), unknown)
        yield Item("engine and libraries", _pairs({"engine": engine.get("engine"), **(engine.get("versions") or {})}))
        yield Item("number format", _said(engine.get("dtype")), "the engine does not say")
    else:
        yield Item("what wrote it", _said(engine.get("engine")))
    if llm:
        templates = section.get("templates") if isinstance(section.get("templates"), dict) else None
        told = None
        if templates is not None and made.get("code"):
            own = _pairs(templates) or "none"
            told = f"the program's templates (code {made['code']}), replaced by own ones, by sha256: {own}"
        yield Item("prompts", told)
        for task in tasks:
            task_options = (generation.get("tasks") or {}).get(task) or {}
            yield Item(f"sampling and options of {task}", _flat(task_options) or None)
        asked = {
            "attempts": generation.get("attempts"),
            "max_history": generation.get("max_history"),
            "seed": section.get("seed"),
        }
        yield Item("seed, attempts, longest history", _pairs(asked))
        yield Item("draws of the model", _draws(source))
        yield Item(
            "titles that it may know",
            {"as-is": "shown as they are", "anonymous": "hidden"}.get(str(source.get("titles"))),
        )
    users = source.get("users")
    yield Item("users it was asked about", "all" if users is None else f"{users}, drawn with the run's seed")
    counts = {task: _counts(told) for task, told in (written.get("tasks") or {}).items()}
    yield Item("answers by task", _pairs(counts))
    records = {task: sha256_file(path) for task in tasks if (path := run.source(name).task(task).records).exists()}
    yield Item("records, by sha256", _pairs(records), "the records are not in the folder")


def _draws(source: Shown) -> str | None:
    draws = source.get("draws")
    if draws is None:
        return None
    return f"{draws}" if draws != 1 else "1: what is said holds for these texts, and not for others that it might write"


def _counts(told: Shown) -> str:
    return f"{told.get('ok')} of {told.get('requests')} valid"


def _recommenders(run: RunFolder, config: Shown, trained: Mapping[str, Trained]) -> Iterator[Item]:
    variants, models = config.get("variants") or {}, config.get("models") or {}
    searched = {
        path.name: read_json(SearchFolder(path).best)
        for path in sorted(run.search.glob("*"))
        if SearchFolder(path).best.exists()
    }
    for name in trained:
        variant = variants.get(name)
        if variant is None:
            continue
        model = str(variant.get("model"))
        yield Item(f"{name}: model and options", _flat(models.get(model) or {}) or None)
        yield _budget(name, searched.get(model), models.get(model) or {})
    yield Item("training, epochs and early stopping", _flat(config.get("training") or {}) or None)
    seeds = sorted({seed for one in trained.values() for seed in one.metrics})
    yield Item("training seeds", ", ".join(map(str, seeds)) or None)
    embedded = {
        str(facts.get("model")): facts.get("model_sha256")
        for path in matrix_facts(run.root)
        if (facts := read_json(path)).get("model_sha256")
    }
    if config.get("embedding"):
        yield Item("embedding model, by sha256", _pairs(embedded))


def _budget(name: str, best: Shown | None, model: Shown) -> Item:
    """How many trials chose a model's options. A search that lies in the folder counts if the model has its options."""
    asked = f"{name}: tuning budget"
    unknown = "its options are those of the config, and how they were found is not in the folder"
    if best is None or not best.get("options"):
        return Item(asked, None, f"{unknown}; an experiment's `search` tunes every row alike")
    trials = counted(int(best["trials"]), "trial")
    if any(_inside(model, key) != value for key, value in best["options"].items()):
        return Item(asked, None, f"{unknown}; a search of {trials} lies there, which chose other ones")
    seeds = ", ".join(map(str, best.get("seeds") or []))
    return Item(asked, f"{trials} by {best.get('monitor')} on validation, with seeds {seeds}")


def _inside(options: Any, key: str) -> Any:
    """The value at a dotted key."""
    for part in key.split("."):
        options = options.get(part) if isinstance(options, Mapping) else None
    return options


def _evaluation(
    run: RunFolder, config: Shown, trained: Mapping[str, Trained], options: ReportOptions
) -> Iterator[Item]:
    yield Item("protocol and cutoffs", _flat(config.get("evaluation") or {}) or None)
    yield Item("selection", "by validation; the test split is sealed until the choice is made")
    rule = f"level {per_cent(options.alpha)} after Holm, equivalence within {per_cent(options.equivalence_margin)}"
    yield Item("what verdicts rest on", f"{options.primary} against {options.baseline}: {rule}")
    changed = {name: changes(variant) for name, variant in (config.get("variants") or {}).items() if name in trained}
    controls = {name: _flat(how) for name, how in changed.items() if how}
    remedy = "no variant keeps the machinery and removes the content; see `change` of a variant"
    yield Item("controls", _pairs(controls), remedy)
    audit = read_json(run.audit_json) if run.audit_json.exists() else {}
    told = (
        f"{counted(len(audit.get('checks') or []), 'check')}, {counted(int(audit.get('violations') or 0), 'violation')}"
    )
    yield Item("leakage audit", told if audit else None, "run `augrec audit` on the folder")


def _cost(
    run: RunFolder, trained: Mapping[str, Trained], options: ReportOptions, markers: Mapping[str, Shown]
) -> Iterator[Item]:
    machines = {stage: told for stage, marker in markers.items() if (told := _machine(marker))}
    yield Item("machines", "; ".join(dict.fromkeys(machines.values())) or None)
    devices = sorted(
        {str(one["device"]) for variant in trained.values() for one in _each(variant) if one.get("device")}
    )
    yield Item("devices of the trainings", ", ".join(devices) or None)
    memory = [
        float(one["peak_memory_mb"])
        for variant in trained.values()
        for one in _each(variant)
        if one.get("peak_memory_mb")
    ]
    yield Item("most memory of a training", f"{max(memory):,.0f} MiB" if memory else None)
    factor = options.co2_g_per_kwh
    for spent in read_spending(
        run, {draw.name: list(draw.metrics) for one in trained.values() for draw in one.each_draw}
    ):
        yield Item(f"time of {spent.what}", None if spent.seconds is None else seconds(spent.seconds))
        part = f" ({spent.counted} of {spent.pieces} counted)" if spent.counted < spent.pieces else ""
        used = None if spent.energy_joules is None else f"{energy(spent.energy_joules)}{part}"
        yield Item(
            f"energy of {spent.what}",
            used,
            "no counter was read: NVIDIA devices have one (nvidia-ml-py), and CPUs on Linux, who may read it (RAPL)",
        )
        if used is not None:
            emitted = co2_grams(spent.energy_joules, factor)
            as_co2 = None if emitted is None else f"{grams(emitted)} at {factor:g} g per kWh"
            yield Item(f"CO2e of {spent.what}", as_co2, "give report.co2_g_per_kwh")


def _each(variant: Trained) -> Iterable[Shown]:
    return [metrics for draw in variant.each_draw for metrics in draw.metrics.values()]


def _machine(marker: Shown) -> str:
    machine = marker.get("machine")
    return _flat(machine) or "" if isinstance(machine, dict) else str(machine or "")


def _code(run: RunFolder, markers: Mapping[str, Shown]) -> Iterator[Item]:
    versions = dict.fromkeys(str(marker["version"]) for marker in markers.values() if marker.get("version"))
    yield Item("version", ", ".join(versions) or None)
    codes = {stage: (marker.get("identity") or {}).get("code") for stage, marker in markers.items()}
    yield Item("code by stage, by sha256", _pairs(codes))
    if run.config.exists():
        yield Item("command", f"augrec run {shlex.quote(run.config.name)}")
        yield Item("sha256 of the resolved config", sha256_file(run.config))
    else:
        yield Item("command", None)


def _said(value: Any) -> str | None:
    return None if value in (None, "") else str(value)


def _flat(values: Shown) -> str | None:
    return "; ".join(f"{name}: {text}" for name, text in flatten(dict(values))) or None


def _pairs(values: Mapping[str, Any]) -> str | None:
    return "; ".join(f"{name}: {value}" for name, value in values.items() if value not in (None, "")) or None
