"""Tasks that exist in this file alone go through the whole chain: nobody downstream knows them by name.

`item_mood` gives a text about every item; `fan_letter`, about users, quotes the moods of the user's items; `duel` asks
every user three questions and gives edges. What they wrote is replayed under their names, and as `item_aura`, which
nothing knows but by the card beside its records.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pytest
from pydantic import StringConstraints
from typer.testing import CliRunner

from augment.answers.answer import Answer, AnswerModel
from augment.catalog import Catalog
from augment.entities import Item, UserEntity
from augment.messages import Control, Draft, Message
from augment.options import GenerationOptions, SourceOptions
from augment.runner import run_source
from augment.tasks import TASKS
from augment.tasks.base import Checked, Context, Impossible, Task, TaskOptions
from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.files import read_json, write_json
from augrec.artefacts.matrices import read_field
from augrec.artefacts.records import Records, read_records
from augrec.artefacts.tasks import About, Edges, Gives, Text, read_card
from augrec.cli import app
from augrec.pipeline.audit import audit_run
from augrec.pipeline.config.run_config import Config, read_config
from augrec.pipeline.executors.chain import run_one
from augrec.pipeline.executors.profile import read_profile
from augrec.pipeline.executors.slurm.plan import plan
from augrec.pipeline.side.side_information import side_information
from augrec.pipeline.stages.base import Run
from recsys.data.dataset import Dataset
from tests.kit.toy_config import EMBEDDING, toy_config, write_config
from tests.kit.toy_data import write_toy_data
from tests.kit.toy_run import advance, silent

pytestmark = pytest.mark.slow

WITHOUT_MOOD = "7"
"""The source id of an item whose mood nobody can tell."""
DUELS = 3


class Prose(AnswerModel):
    told: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9 .,]{1,200}$")]


class Winner(AnswerModel):
    winner: Literal[1, 2]


PROSE, WINNER = Answer(Prose), Answer(Winner)


class MoodOptions(TaskOptions):
    """Asking for the mood of an item."""

    word: str = "quiet"
    """What the rule answers."""


class ItemMood(Task):
    """Stored fields: told."""

    name: ClassVar[str] = "item_mood"
    about: ClassVar[About] = "item"
    gives: ClassVar[Gives] = Text(field="told")
    Options: ClassVar[type[TaskOptions]] = MoodOptions

    def __init__(self, context: Context, options: MoodOptions) -> None:
        self.options: MoodOptions = options
        self._ids = context.catalog.ids

    def draft(self, entity: Item, drop: int = 0) -> Draft:
        if self._ids.of("item", entity.item) == WITHOUT_MOOD:
            raise Impossible("moodless: nobody can tell")
        told = {"told": f"A {self.options.word} film called {entity.title}."}
        messages = (Message("user", f"What is the mood of {entity.title}?"),)
        return Draft(entity.item, messages, PROSE, Control(lambda: told, PROSE))

    def check(self, answer: dict[str, Any], draft: Draft) -> Checked:
        return Checked(answer)


class FanLetter(Task):
    """Stored fields: told."""

    name: ClassVar[str] = "fan_letter"
    about: ClassVar[About] = "user"
    reads: ClassVar[tuple[str, ...]] = ("item_mood",)
    gives: ClassVar[Gives] = Text()
    Options: ClassVar[type[TaskOptions]] = TaskOptions

    def __init__(self, context: Context, options: TaskOptions) -> None:
        self.options, self._context = options, context

    def draft(self, entity: UserEntity, drop: int = 0) -> Draft:
        if not entity.history:
            raise Impossible("no_history: nothing to praise")
        history = entity.history[-self._context.max_history :][drop:]
        moods = self._context.catalog.answers["item_mood"]
        lines = [(moods.fields(item.item) or {"told": f"{item.title}, of unknown mood."})["told"] for item in history]
        messages = (Message("user", "\n".join(["Praise these:", *lines])),)
        shown = tuple(item.item for item in history)
        rule = Control(lambda: {"told": f"I love these. {lines[-1]}"}, PROSE)
        return Draft(entity.user, messages, PROSE, rule, shown_history=shown, dropped_history=drop)

    def check(self, answer: dict[str, Any], draft: Draft) -> Checked:
        return Checked(answer)


class Duel(Task):
    """Stored fields: positive, negative."""

    name: ClassVar[str] = "duel"
    about: ClassVar[About] = "user"
    gives: ClassVar[Gives] = Edges(among="unseen")
    Options: ClassVar[type[TaskOptions]] = TaskOptions
    most_questions = DUELS

    def __init__(self, context: Context, options: TaskOptions) -> None:
        self.options, self._catalog = options, context.catalog

    def questions(self, entity: UserEntity, drop: int = 0) -> Iterator[Draft]:
        known = {item.item for item in entity.history}
        unseen = [item for item in self._catalog.items() if item.item not in known]
        if not known or len(unseen) < 2 * DUELS:
            raise Impossible("no_pairs: too few items are unseen")
        for number in range(DUELS):
            pair = unseen[2 * number : 2 * number + 2]
            messages = (Message("user", f"{pair[0].title} or {pair[1].title}?"),)
            shown = tuple(item.item for item in pair)
            rule = Control(lambda: {"winner": 2}, WINNER)
            yield Draft(entity.user, messages, WINNER, rule, shown_candidates=shown, question=f"duel-{number}")

    def check(self, answer: dict[str, Any], draft: Draft) -> Checked:
        first, second = draft.shown_candidates
        winner, loser = (first, second) if answer["winner"] == 1 else (second, first)
        return Checked({"positive": winner, "negative": loser})


SECTIONS = """
generation:
  shards: 3
  sources:
    rule: {engine: {kind: heuristic}, tasks: [fan_letter, item_mood, duel]}
  tasks:
    item_mood: {word: loud}
models: {llmrec: {family: llmrec, dim: 8}}
evaluation: {cutoffs: [10]}
variants:
  full: {model: llmrec, source: rule}
  shuffled: {model: llmrec, source: rule, change: {fan_letter: shuffled, duel: random-candidates}}
  bare: {model: llmrec, source: rule, change: {fan_letter: interactions, item_mood: interactions}}
report: {secondary: [ndcg@10]}
"""
LATER = """
generation:
  sources:
    again: {{engine: {{kind: replay, records: {first}/augment/rule}}, tasks: [item_mood, duel]}}
    foreign: {{engine: {{kind: replay, records: {foreign}, dataset: {first}/dataset}}, tasks: [item_aura]}}
variants:
  replayed: {{model: llmrec, source: again, change: {{item_mood: constant}}}}
  strange: {{model: llmrec, source: foreign, change: {{item_aura: shuffled}}}}
"""
"""What needs the records of an earlier run."""


@pytest.fixture(scope="module")
def invented() -> Iterator[None]:
    with TASKS.including(ItemMood, FanLetter, Duel):
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, embedder: str) -> Path:
    """A folder with data, for the earlier run and the run."""
    return write_toy_data(tmp_path_factory.mktemp("invented") / "data").parent


@pytest.fixture(scope="module")
def config_file(root: Path) -> Path:
    later = LATER.format(first=root / "first", foreign=root / "foreign")
    content = toy_config(root / "data", EMBEDDING, SECTIONS, later, {"output": str(root / "run")})
    return write_config(root / "invented.yaml", content)


@pytest.fixture(scope="module")
def config(invented: None, root: Path, config_file: Path) -> Config:
    """The config, whose replayed source has something to replay: what another run of it wrote."""
    content = toy_config(root / "data", EMBEDDING, SECTIONS, {"output": str(root / "first")})
    earlier = Run(read_config(write_config(root / "first.yaml", content)))
    advance(earlier, "prepare", "candidates", "augment")
    aura = shutil.copytree(earlier.folder / "augment/rule/item_mood", root / "foreign/item_aura")
    write_json(aura / "task.json", read_json(aura / "task.json") | {"name": "item_aura"})
    return read_config(config_file)


@pytest.fixture(scope="module")
def run(config: Config) -> Path:
    advance(Run(config))
    return config.folder


def answers(run: Path, source: str, task: str) -> Records:
    return read_records(run / "augment" / source / task / "records.parquet")


def test_cards_say_what_the_tasks_give(run: Path) -> None:
    for source, task in (("rule", "item_mood"), ("rule", "fan_letter"), ("rule", "duel"), ("again", "item_mood")):
        card = read_card(run / "augment" / source / task / "task.json")
        assert (card.name, card.about, card.reads, card.gives) == (
            task, TASKS[task].about, TASKS[task].reads, TASKS[task].gives
        )  # fmt: skip


def test_what_is_quoted_is_answered_before_and_what_is_absent_is_counted(run: Path) -> None:
    dataset = Dataset.load(run / "dataset")
    ids = dataset.items["source_id"].to_pylist()
    moods = {record.entity: record.fields["told"] for record in answers(run, "rule", "item_mood").answered()}  # type: ignore[index]
    assert sorted(set(range(dataset.n_items)) - set(moods)) == [ids.index(WITHOUT_MOOD)]
    assert all(told.startswith("A loud film") for told in moods.values())
    letters = list(answers(run, "rule", "fan_letter").answered())
    for letter in letters:
        last = letter.shown_history[-1]
        told = letter.fields["told"]  # type: ignore[index]
        assert told.removeprefix("I love these. ") == moods.get(last, told.removeprefix("I love these. "))
        assert ("of unknown mood" in told) == (last not in moods)
    summary = read_json(run / "augment" / "summary.json")["sources"]["rule"]["tasks"]
    assert summary["fan_letter"]["reads"] == {"item_mood": {"answered": dataset.n_items - 1, "absent": 1}}
    assert "reads" not in summary["item_mood"]


def test_every_question_has_its_record(run: Path) -> None:
    for source in ("rule", "again"):
        found = answers(run, source, "duel")
        users = np.unique(found.entities)
        assert [(record.entity, record.question) for record in found] == [
            (user, f"duel-{number}") for user in users.tolist() for number in range(DUELS)
        ]
        for record in found.answered():
            assert record.fields == {"positive": record.shown_candidates[1], "negative": record.shown_candidates[0]}


def test_texts_are_embedded_and_every_part_reaches_the_model(run: Path, config: Config) -> None:
    dataset = Dataset.load(run / "dataset")
    values, about = read_field(run / "embed" / "rule" / "item_mood")
    assert (len(values), about["task"], len(about["missing"])) == (dataset.n_items, "item_mood", 1)
    full = side_information(run, config.variants["full"], dataset, 1)
    assert set(full.user) == {"fan_letter"}
    assert set(full.item) == {"text", "mood"}
    np.testing.assert_array_equal(full.item["mood"].dense(), values)
    assert full.edges is not None
    assert len(full.edges) == len(list(answers(run, "rule", "duel").answered()))
    assert not full.drawn
    changed = side_information(run, config.variants["shuffled"], dataset, 1)
    assert changed.drawn
    assert not (changed.user["fan_letter"].dense() == full.user["fan_letter"].dense()).all(axis=1).any()
    shown = {(record.entity, *sorted(record.shown_candidates)) for record in answers(run, "rule", "duel").answered()}
    assert changed.edges is not None
    drawn = zip(
        changed.edges.user.tolist(), changed.edges.positive.tolist(), changed.edges.negative.tolist(), strict=True
    )
    assert {(user, *sorted(pair)) for user, *pair in drawn} == shown, "each pair is one of its own record"
    assert changed.edges.positive.tolist() != full.edges.positive.tolist()
    strange = side_information(run, config.variants["strange"], dataset, 1)
    assert set(strange.item) == {"text", "aura"}
    assert sorted(map(tuple, strange.item["aura"].dense())) == sorted(map(tuple, values)), "items changed places"
    bare = side_information(run, config.variants["bare"], dataset, 1)
    assert not bare.drawn
    for given, there in ((bare.item["mood"], full.item["mood"]), (bare.user["fan_letter"], full.user["fan_letter"])):
        assert (given.rows, given.dim) == (there.rows, there.dim)
        assert not (given.dense()[given.mask] == there.dense()[given.mask]).all(axis=1).any()
    again = side_information(run, config.variants["replayed"], dataset, 1)
    assert len(np.unique(again.item["mood"].values, axis=0)) <= 2, "the mean, and zeros for the item without"


def test_it_is_trained_audited_and_reported(run: Path) -> None:
    assert {path.parent.parent.name for path in run.glob("train/*/*/metrics.json")} == {
        "popular", "full", "shuffled", "replayed", "strange", "bare"
    }  # fmt: skip
    names = {check.name for check in audit_run(run).checks}
    assert audit_run(run).violations == 0
    assert {
        "rule duel: pairs come from what was shown, and is not in train",
        "rule fan_letter: prompts show training history only",
        "rule fan_letter: the answers it quotes are there",
        "embedding rule/item_mood",
        "again duel: pairs name known items",
        "vectors of interactions are made of exactly those of training",
    } <= names
    page = (run / "report" / "index.html").read_text()
    assert "A loud film called" in page
    assert "the content of the duels and fan letters" in page or "fan_letter" in page


def test_the_audit_sees_damage_of_invented_kinds(run: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(run, tmp_path / "run")
    card = damaged / "augment" / "rule" / "fan_letter" / "task.json"
    write_json(card, read_json(card) | {"reads": ["item_mood", "item_smell"]})
    summary = damaged / "augment" / "summary.json"
    content = read_json(summary)
    content["sources"]["rule"]["tasks"]["duel"]["ok"] += 1
    write_json(summary, content)
    violations = {check.name: check.violations for check in audit_run(damaged).checks if check.violations}
    assert "item_smell is not there" in violations["rule fan_letter: the answers it quotes are there"][0]
    assert "ok" in violations["rule duel: one record per request"][0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("{duel: constant}", "duel gives edges, which cannot be constant"),
        ("{fan_letter: random-candidates}", "fan_letter gives text, which cannot be random-candidates"),
        ("{duel: interactions}", "duel gives edges, which cannot be interactions"),
        ("{fan_leter: none}", "did you mean 'fan_letter'"),
    ],
)
def test_treatments_follow_from_the_kind(config: Config, config_file: Path, change: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_config(config_file, [f"variants.full.change={change}"])


def test_what_a_task_reads_has_to_be_asked(config: Config, config_file: Path) -> None:
    with pytest.raises(UsageError, match="fan_letter quotes the answers to item_mood, which is not asked"):
        read_config(config_file, ["generation.sources.rule.tasks=[fan_letter]"])


# Waves, with processes that share the shards.


def answer(run: Path, out: Path, word: str = "loud", **part: Any) -> dict[str, Any]:
    source = SourceOptions.model_validate({"engine": {"kind": "heuristic"}, "tasks": ["fan_letter", "item_mood"]})
    generation = GenerationOptions.model_validate(
        {"sources": {"s": source}, "shards": 3, "tasks": {"item_mood": {"word": word}}}
    )
    catalog = Catalog.load(run / "dataset", run / "candidates" / "candidates.parquet")
    return run_source(catalog, "s", source, generation, folder=out, seed=7, **part)


def test_processes_answer_wave_by_wave_what_one_process_answers(run: Path, tmp_path: Path) -> None:
    with pytest.raises(AugrecError, match="prompts quote the answers to item_mood"):
        answer(run, tmp_path / "shared", shards=[1], wave=1)
    for shard in (2, 0):
        answer(run, tmp_path / "shared", shards=[shard], wave=0)
    with pytest.raises(AugrecError, match="its shard 1 is not answered"):
        answer(run, tmp_path / "shared", shards=[0], wave=1)
    answer(run, tmp_path / "shared", shards=[1], wave=0)
    for shard in range(3):
        summary = answer(run, tmp_path / "shared", shards=[shard], wave=1)
        assert list(summary["tasks"]) == ["fan_letter"]
    shared, alone = (answer(run, tmp_path / name) for name in ("shared", "alone"))
    assert shared["tasks"].keys() == alone["tasks"].keys() == {"item_mood", "fan_letter"}
    for task in shared["tasks"]:
        one, other = (tmp_path / name / task / "records.parquet" for name in ("shared", "alone"))
        assert read_records(one).table.equals(read_records(other).table)


def test_another_answer_asks_what_quotes_it_again(run: Path, tmp_path: Path) -> None:
    before = answer(run, tmp_path / "out")
    keys = {record.entity: record.key for record in read_records(tmp_path / "out" / "fan_letter" / "records.parquet")}
    assert answer(run, tmp_path / "out") == before, "nothing is asked twice"
    after = answer(run, tmp_path / "out", word="sad")
    found = list(read_records(tmp_path / "out" / "fan_letter" / "records.parquet"))
    assert all(record.key != keys[record.entity] for record in found)
    assert all("sad" in json.dumps(record.fields) or "unknown mood" in json.dumps(record.fields) for record in found)
    assert after["tasks"]["fan_letter"]["stale"] == before["tasks"]["fan_letter"]["requests"]


def test_a_cluster_answers_wave_by_wave(config: Config, config_file: Path, run: Path, tmp_path: Path) -> None:
    """The plan's own commands, one process after the other, give what one process gave."""
    overrides = [f"output={tmp_path / 'run'}"]
    planned = Run(read_config(config_file, overrides))
    (tmp_path / "profile.toml").write_text("[stages.augment]\nshards_per_task = 2\n")
    levels = plan(planned, read_profile(tmp_path / "profile.toml"), 1000)
    place = next(n for n, level in enumerate(levels) if level[0].name.startswith("augment"))
    first, second = levels[place : place + 2]
    assert [job.name for job in first] == ["augment-rule", "augment-again", "augment-foreign"]
    assert [job.name for job in second] == ["augment-rule-wave-1"]
    asked = [command for level in (first, second) for job in level for task in job.tasks for command in task]
    shards = {command[command.index("--shards") + 1] for command in asked if "rule" in command}
    assert shards == {"0-1", "2", "3-4", "5"}
    for stage in ("prepare", "candidates"):
        run_one(planned, stage, force=False, console=silent())
    stage, *words = asked[-1]
    early = CliRunner().invoke(app, [stage, str(config_file), *overrides, *words])
    assert "reads what other pieces make" in str(early.exception)
    for stage, *words in asked:
        done = CliRunner().invoke(app, [stage, str(config_file), *overrides, *words])
        assert done.exit_code == 0, (done.output, done.exception)
    merged = CliRunner().invoke(app, ["augment", str(config_file), *overrides, "--merge"])
    assert merged.exit_code == 0, (merged.output, merged.exception)
    for path in sorted(run.glob("augment/*/*/records.parquet")):
        shared = read_records(planned.folder / path.relative_to(run))
        assert shared.table.equals(read_records(path).table), path
