"""A comparison's file: what is refused, and the run that follows from it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from augrec.artefacts.errors import UsageError
from augrec.pipeline.studies.comparison.plan import ComparisonPlan, read_compare
from augrec.pipeline.studies.config_files import check_file
from tests.kit.toy_config import toy_config

BASE = """
name: null
generation: {sources: {rule: {engine: {kind: heuristic}, tasks: [user_profile]}}}
embedding: {model: embedder}
models: {llmrec: {family: llmrec, dim: 8}}
training: {monitor: null}
evaluation: null
seeds: null
variants: null
report: null
"""
FILE: dict[str, Any] = {
    "name": "small",
    "published": {"gpt": {"layout": "rlmrec", "path": "release"}},
    "base": toy_config("data", BASE),
    "arms": {
        "gpt": {"source": "gpt", "against": ["mixed"]},
        "rule": {"source": "rule"},
        "mixed": {"source": "gpt", "change": {"user_profile": "shuffled"}},
        "none": {},
    },
    "recommenders": {"llmrec": {"model": "llmrec", "scale": "profile_scale", "scales": [0.5, 2.0]}},
    "baseline": "none",
    "seeds": [1, 2],
}


def write(tmp_path: Path, **changes: Any) -> Path:
    path = tmp_path / "compare.yaml"
    path.write_text(yaml.safe_dump({**FILE, **changes}, sort_keys=False))
    return path


def read(tmp_path: Path, **changes: Any) -> ComparisonPlan:
    return read_compare(write(tmp_path, **changes))


def test_a_variant_for_every_arm_and_recommender(tmp_path: Path) -> None:
    plan = read(tmp_path)
    config = plan.tuned(plan.cell, {"llmrec+gpt": {"profile_scale": 2.0}})
    assert list(config.variants) == ["llmrec+gpt", "llmrec+rule", "llmrec+mixed", "llmrec+none"]
    assert config.models["llmrec+gpt"].profile_scale == 2.0  # type: ignore[union-attr]
    assert config.models["llmrec+rule"].profile_scale == 0.5  # type: ignore[union-attr]
    assert config.variants["llmrec+mixed"].change == {"user_profile": "shuffled"}
    assert config.training.monitor == "recall@20"
    assert config.seeds == [1, 2]


def test_a_published_name_becomes_a_replaying_source(tmp_path: Path) -> None:
    plan = read(tmp_path)
    source = plan.cell.config.generation.sources["gpt"]  # type: ignore[union-attr]
    assert source.engine.kind == "replay"
    assert source.engine.records == plan.folder / "published" / "gpt"


def test_only_what_has_profiles_is_tuned(tmp_path: Path) -> None:
    assert [variant for variant, _, _ in read(tmp_path).tuned_variants()] == [
        "llmrec+gpt",
        "llmrec+rule",
        "llmrec+mixed",
    ]


def test_a_recommender_may_have_seeds_of_its_own(tmp_path: Path) -> None:
    ease = {"model": "popular", "scale": "training.lr", "scales": [0.1], "seeds": [1]}
    config = read(tmp_path, recommenders={**FILE["recommenders"], "pop": ease}).cell.config
    assert config.seeds_of("pop+gpt") == [1]
    assert config.seeds_of("llmrec+gpt") == [1, 2]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"baseline": "nothing"}, "baseline: 'nothing' is not one of the arms"),
        ({"claim": "nothing"}, "claim: 'nothing' is not one of the arms"),
        ({"tuning_seed": 2}, "tuning_seed: 2 is also reported"),
        (
            {"arms": {**FILE["arms"], "odd": {"source": "rule", "against": ["odd"]}}},
            "not another arm",
        ),
        ({"arms": {**FILE["arms"], "odd": {"source": "rule", "edges": "none"}}}, "change: {edges: none}"),
        (
            {"arms": {**FILE["arms"], "odd": {"source": "rule", "change": {"edges": "random-candidates"}}}},
            "llmrec+odd.change.edges: random-candidates, and nobody makes any",
        ),
        ({"arms": {**FILE["arms"], "odd": {"source": "who"}}}, "'who'"),
        ({"recommenders": {"llmrec": {"model": "lost", "scale": "x", "scales": [1]}}}, "recommenders.llmrec.model"),
        ({"recommenders": {"llmrec": {"model": "llmrec", "scale": "profil_scale", "scales": [1]}}}, "profil_scale"),
        ({"recommenders": {"llmrec": {"model": "llmrec", "scale": "dim", "scales": [8, 8]}}}, "listed twice"),
        ({"memorisation": [{"named": "rule", "anonymous": "lost"}]}, "memorisation.0.anonymous: 'lost'"),
        ({"armss": {}}, "armss"),
        ({"arms": {**FILE["arms"], "../../x": {}}}, "arms: '../../x' cannot be a name"),
        ({"arms": {**FILE["arms"], "": {}}}, "arms: a name cannot be empty"),
        ({"published": {"../gpt": {"layout": "rlmrec"}}}, "published: '../gpt' cannot be a name"),
        ({"recommenders": {"a/b": FILE["recommenders"]["llmrec"]}}, "recommenders: 'a/b' cannot be a name"),
        ({"item_vectors": "../data/text"}, "item_vectors: write it as group/field"),
        ({"item_vectors": "data/.."}, "item_vectors: write it as group/field"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        read(tmp_path, **changes)


def test_an_arm_takes_what_a_variant_takes(tmp_path: Path) -> None:
    """All options that say what a model is given reach the variants; a title and the like do not."""
    scored = {"source": "rule", "edge_positives": 3, "edge_confidence": "threshold", "edge_threshold": 0.8}
    config = read(tmp_path, arms={**FILE["arms"], "scored": {**scored, "title": "Scored"}}).cell.config
    variant = config.variants["llmrec+scored"].model_dump()
    assert {name: variant[name] for name in scored} == scored
    assert variant["model"] == "llmrec+scored"
    assert "title" not in variant


def test_files_of_other_kinds_are_sent_to_their_command(tmp_path: Path) -> None:
    run = tmp_path / "run.yaml"
    run.write_text(yaml.safe_dump(FILE["base"], sort_keys=False))
    with pytest.raises(UsageError, match="augrec run"):
        read_compare(run)
    assert check_file(write(tmp_path)) == "comparison, 4 arms x 1 recommender"


MODELS = {
    "like": "rule",
    "each": {
        "small": {"model": "a.gguf", "title": "Small"},
        "large": {"model": "b.gguf", "engine": {"max_num_seqs": 4}},
    },
    "against": ["rule"],
    "budgets": [{"users": 5, "by": "tail"}, {"users": 5, "by": "random"}],
}
ENGINE = {"kind": "vllm", "model": "pattern.gguf", "max_num_seqs": 8}


def with_models(tmp_path: Path, **changes: Any) -> ComparisonPlan:
    base = toy_config(
        "data", BASE, {"generation": {"sources": {"pattern": {"engine": ENGINE, "tasks": ["user_profile"]}}}}
    )
    return read(tmp_path, base=base, models={**MODELS, "like": "pattern", **changes})


def test_models_are_asked_the_same_an_arm_each_and_budgets_ask_nothing_again(tmp_path: Path) -> None:
    plan = with_models(tmp_path)
    made = [*("small", "small-tail-5", "small-random-5"), *("large", "large-tail-5", "large-random-5")]
    assert list(plan.compare.arms)[-6:] == made
    generation = plan.cell.config.generation
    assert generation is not None
    assert set(generation.sources) == {"gpt", "rule", "small", "large"}, "the pattern is not asked itself"
    small, large = (generation.sources[name].engine.model_dump() for name in ("small", "large"))
    assert (small["model"], small["max_num_seqs"]) == ("a.gguf", 8)
    assert (large["model"], large["max_num_seqs"]) == ("b.gguf", 4)
    variants = plan.cell.config.variants
    assert variants["llmrec+small"].asked is None
    assert variants["llmrec+large-tail-5"].source == "large"
    assert variants["llmrec+large-tail-5"].asked.model_dump() == {"users": 5, "by": "tail"}  # type: ignore[union-attr]
    assert plan.compare.arms["small"].against == ("rule",)
    assert plan.compare.arms["small-tail-5"].title == "Small, 5 users, tail"


def test_a_pattern_that_is_no_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"models\.like: 'patern' is not a source.*did you mean 'pattern'"):
        with_models(tmp_path, like="patern")
