"""A language model that is asked several times: a source, its records and its trainings for every draw, one variant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augment.hashes import draw_seed
from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import read_json, read_parquet
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.audit import audit_run
from augrec.pipeline.config.llm_draws import with_draws
from augrec.pipeline.config.run_config import as_plain, read_config
from augrec.pipeline.executors.profile import Profile
from augrec.pipeline.executors.slurm.plan import plan
from augrec.pipeline.stages.base import Run
from tests.kit.dice_engine import dice
from tests.kit.toy_config import toy_config, write_config
from tests.kit.toy_run import advance


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    with dice():
        yield


DRAWN = """
candidates: {model: popular}
models:
  popular: {family: popularity}
  mf: {family: mf_bpr, dim: 8}
embedding: {model: tfidf}
generation: {shards: 2, sources: {dice: {engine: {kind: dice}, tasks: [edges], draws: 3}}}
training: {epochs: 3}
seeds: [1, 2]
variants:
  plain: {model: mf}
  drawn: {model: mf, source: dice}
  lost: {model: mf, source: dice, change: {edges: random}}
report: {baseline: plain}
"""


@pytest.fixture
def config(tmp_path: Path, toy_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUGREC_CACHE", str(tmp_path / "cache"))
    return write_config(tmp_path / "toy.yaml", toy_config(toy_data, "{models: null, variants: null}", DRAWN))


def run_of(config: Path, *overrides: str) -> Run:
    return Run(read_config(config, [f"output={config.parent / 'run'}", *overrides]))


def test_a_source_and_its_variants_are_there_once_for_every_draw(config: Path) -> None:
    found = read_config(config)
    assert found.generation is not None
    sources = found.generation.sources
    assert [(name, source.draw) for name, source in sources.items()] == [
        ("dice", 1), ("dice+draw-2", 2), ("dice+draw-3", 3),
    ]  # fmt: skip
    assert {name: variant.source for name, variant in found.variants.items() if "drawn" in name} == {
        "drawn": "dice", "drawn+draw-2": "dice+draw-2", "drawn+draw-3": "dice+draw-3",
    }  # fmt: skip
    assert found.shown_variants() == ["plain", "drawn", "lost"]
    assert found.draws_of("lost") == ["lost", "lost+draw-2", "lost+draw-3"]
    assert found.draws_of("plain") == ["plain"]


def test_a_config_that_was_resolved_stays_as_it_is(config: Path) -> None:
    plain = as_plain(read_config(config))
    assert with_draws(plain) == plain
    assert as_plain(type(read_config(config)).model_validate(plain)) == plain


@pytest.mark.parametrize("draws", [2, 20])
def test_sources_and_variants_are_added_and_nothing_else_is_changed(draws: int) -> None:
    sources = {"a": {"draws": draws, "tasks": []}, "b": {"tasks": []}}
    variants = {"plain": {"model": "m"}, "of_a": {"model": "m", "source": "a"}, "of_b": {"source": "b"}, "odd": 3}
    raw = {"seeds": [1], "generation": {"shards": 2, "sources": sources}, "variants": variants}
    more = range(2, draws + 1)
    assert with_draws(raw) == {
        "seeds": [1],
        "generation": {
            "shards": 2,
            "sources": sources | {f"a+draw-{n}": {"draws": 1, "draw": n, "tasks": []} for n in more},
        },
        "variants": variants | {f"of_a+draw-{n}": {"model": "m", "source": f"a+draw-{n}"} for n in more},
    }


def sections(sources: Any) -> dict[str, Any]:
    return {"generation": {"sources": sources}, "variants": {"v": {"source": "a"}}}


@pytest.mark.parametrize(
    "raw",
    [
        None,
        {},
        {"generation": 3, "variants": {}},
        {"generation": {"sources": {"a": {"draws": 2}}}, "variants": 3},
        sections(None),
        sections({"a": None}),
        *(sections({"a": {"draws": draws}}) for draws in (None, "x", True, 1, 0, 21)),
    ],
)
def test_sections_that_are_wrong_or_ask_once_are_left_to_their_own_checks(raw: Any) -> None:
    assert with_draws(raw) is raw


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("generation.sources.dice.engine={kind: heuristic}", r"sources\.dice\.draws: 3, and nothing is drawn"),
        ("generation.tasks.edges.sampling.temperature=0", r"sources\.dice\.draws: 3, and every task has temperature 0"),
        ("generation.sources.dice.draws=99", r"generation\.sources\.dice\.draws"),
    ],
)
def test_draws_of_what_draws_nothing_are_refused(config: Path, override: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        read_config(config, [override])


def test_the_first_draw_has_the_keys_that_it_had() -> None:
    assert draw_seed(7, 1) == 7
    assert len({draw_seed(seed, draw) for seed in (7, 8) for draw in (1, 2, 3)}) == 6


def test_a_cluster_gets_jobs_for_every_draw(config: Path) -> None:
    jobs = {job.name for level in plan(run_of(config), Profile(), 1001) for job in level}
    assert {"augment-dice", "augment-dice+draw-2", "augment-dice+draw-3"} <= jobs


@pytest.mark.slow
def test_a_whole_run_asks_again_trains_on_each_and_shows_one_variant(config: Path) -> None:
    run = run_of(config)
    advance(run)
    files = RunFolder(run.folder)
    tables = [read_parquet(files.source(name).task("edges").records) for name in ("dice", "dice+draw-2", "dice+draw-3")]
    keys = [set(table["key"].to_pylist()) for table in tables]
    assert len(set.union(*keys)) == sum(map(len, keys)), "no two draws share a request"
    assert len({tuple(table["entity"].to_pylist()) for table in tables}) == 1
    shown = [table["shown_candidates"].to_pylist() for table in tables]
    assert shown[0] == shown[1] == shown[2], "the prompts are the same"
    answers = [table["fields"].to_pylist() for table in tables]
    assert answers[0] != answers[1] != answers[2] != answers[0]

    results = read_json(files.results)
    assert list(dict.fromkeys(row["variant"] for row in results["rows"])) == ["plain", "drawn", "lost"]
    names = ("drawn", "drawn+draw-2", "drawn+draw-3")
    values = np.array(
        [[read_json(files.training(name, seed).metrics)["test"]["recall@10"] for seed in (1, 2)] for name in names]
    )
    base = [read_json(files.training("plain", seed).metrics)["test"]["recall@10"] for seed in (1, 2)]
    (row,) = (one for one in results["summary"] if (one["variant"], one["metric"]) == ("drawn", "recall@10"))
    assert row["mean"] == pytest.approx(values.mean())
    assert row["difference"] == pytest.approx((values - np.array(base)).mean())
    assert (row["paired_draws"], row["paired_seeds"]) == (3, 2)
    (control,) = (one for one in results["controls"] if one["control"] == "lost")
    assert control["paired_draws"] == 3
    assert audit_run(run.folder).violations == 0
    assert "3 draws" in files.page.read_text()

    said = advance(run_of(config))
    assert "running" not in said
