"""What is a control of what, and with how many seeds it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from augrec.artefacts.files import read_json
from augrec.artefacts.treatments import is_drawn, training_seeds
from augrec.pipeline.config.run_config import Config
from augrec.report.numbers.variants import Trained
from augrec.report.pages.run.roles import PlannedVariant, Roles
from augrec.report.sources import is_llm
from tests.augrec.report.pages.run.test_report_headline import ReportOptions, variant
from tests.kit.toy_config import toy_config

DRAWN = [
    {"edges": "random"},
    {"edges": "random-candidates"},
    {"edges": "shuffled"},
    {"user_profile": "shuffled"},
    {"user_profile": "random"},
    {"item_attributes": "shuffled"},
]
FIXED: list[dict[str, str]] = [
    {},
    {"edges": "none"},
    {"user_profile": "none"},
    {"user_profile": "constant"},
    {"user_profile": "interactions"},
]


@pytest.mark.parametrize("parts", DRAWN)
def test_a_drawn_control_gets_as_many_draws_as_there_are_seeds(parts: dict[str, str]) -> None:
    entry = {"model": "ease", "source": "llm", "change": parts}
    assert is_drawn(entry)
    assert training_seeds({**entry, "seeds": [1]}, [1, 2, 3]) == [1, 2, 3]
    assert training_seeds(entry, [1, 2, 3]) == [1, 2, 3]
    assert training_seeds({**entry, "seeds": [4, 5, 6, 7]}, [1, 2, 3]) == [4, 5, 6, 7]


@pytest.mark.parametrize("parts", FIXED)
def test_what_is_not_drawn_keeps_its_own_seeds(parts: dict[str, str]) -> None:
    assert not is_drawn({"source": "llm", "change": parts})
    assert training_seeds({"source": "llm", "seeds": [1], "change": parts}, [1, 2, 3]) == [1]


def test_without_a_source_nothing_is_drawn() -> None:
    assert not is_drawn({"source": None, "change": {"user_profile": "shuffled"}})


def test_a_drawn_control_of_a_closed_form_has_the_seeds_of_the_run() -> None:
    sections = {
        "generation": {"sources": {"llm": {"engine": {"kind": "heuristic"}}}},
        "embedding": {"model": "m"},
        "models": {"ease": {"family": "ease_text", "l2": 1}},
        "seeds": [1, 2, 3],
        "variants": {
            "popular": None,
            "plain": {"model": "ease", "source": "llm", "seeds": [1]},
            "shuffled": {"model": "ease", "source": "llm", "change": {"user_profile": "shuffled"}, "seeds": [1]},
        },
        "report": {"baseline": "plain"},
    }
    config = Config.model_validate(toy_config("nowhere", sections))
    assert {name: config.seeds_of(name) for name in config.variants} == {"plain": [1], "shuffled": [1, 2, 3]}


@pytest.mark.parametrize(
    ("edges", "at_stake"),
    [
        ("random-candidates", "the choice among the candidates shown"),
        ("random", "be it by the candidate list or by the choice"),
        ("shuffled", "the content of the edges"),
        ("none", "the edges help"),
    ],
)
def test_each_control_of_edges_is_said_to_show_what_it_shows(edges: str, at_stake: str) -> None:
    trained: dict[str, Trained] = {name: variant(name, 0) for name in ("base", "a", "b")}
    plan = {
        "base": PlannedVariant("lightgcn"),
        "a": PlannedVariant("llmrec", "llm"),
        "b": PlannedVariant("llmrec", "llm", {"edges": edges}),
    }
    roles = Roles(trained, ReportOptions(baseline="base"), plan, ["llm"], {"edges": "edges"})
    assert [control.name for control in roles.controls(trained["a"])] == ["b"]
    assert at_stake in roles.at_stake(trained["a"], trained["b"])


@pytest.mark.parametrize(
    ("change", "at_stake"),
    [
        (
            {"user_profile": "interactions"},
            "what the user profiles say, rather than any vectors that know the training",
        ),
        ({"user_profile": "interactions", "edges": "shuffled"}, "the content of the user profiles and edges"),
    ],
)
def test_vectors_of_interactions_are_said_to_show_that_the_text_matters(change: dict[str, str], at_stake: str) -> None:
    trained: dict[str, Trained] = {name: variant(name, 0) for name in ("base", "a", "b")}
    plan = {
        "base": PlannedVariant("lightgcn"),
        "a": PlannedVariant("llmrec", "llm"),
        "b": PlannedVariant("llmrec", "llm", change),
    }
    roles = Roles(trained, ReportOptions(baseline="base"), plan, ["llm"], {"edges": "edges", "user_profile": "text"})
    assert at_stake in roles.at_stake(trained["a"], trained["b"])


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ({"engine": "vllm", "llm": True, "model": "anti-heuristic-7b"}, True),
        ({"engine": "openai", "llm": True, "base_url": "http://heuristic.example"}, True),
        ({"engine": "heuristic", "llm": False}, False),
        ({"engine": "replay of heuristic", "llm": False}, False),
        ({"engine": "heuristic"}, False),
        ({"engine": "replay of vllm"}, True),
        ({"engine": "published", "model": "a heuristic prompt"}, True),
    ],
)
def test_a_language_model_is_told_by_what_its_engine_recorded(engine: dict[str, Any], expected: bool) -> None:
    assert is_llm(engine) is expected


def test_every_engine_records_whether_it_is_a_language_model(finished_run: Path) -> None:
    sources = read_json(finished_run / "augment" / "summary.json")["sources"]
    assert sources["rule"]["engine"]["llm"] is False
