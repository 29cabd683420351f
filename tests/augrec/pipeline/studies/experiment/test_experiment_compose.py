"""How an experiment becomes run configs."""

from __future__ import annotations

from pathlib import Path

import pytest

from augrec.pipeline.studies.experiment.compose import compose, swept_variant
from augrec.pipeline.studies.experiment.options import Experiment
from augrec.pipeline.studies.experiment.plan import read_experiment
from augrec.pipeline.studies.sections import merged, nested

TABLE = {"title": "T", "baseline": "full"}
BASE = {
    "name": "base",
    "candidates": {"size": 10, "model": "full"},
    "models": {"full": {"family": "llmrec", "training": {"lr": 0.1}}},
    "variants": {"full": {"model": "full", "source": "llm"}, "other": {"model": "full"}},
    "seeds": [1],
}


def experiment(**sections: object) -> Experiment:
    return Experiment.model_validate({"name": "e", "base": BASE, "tables": {"t": TABLE}, **sections})


def test_dotted_keys_are_sections() -> None:
    assert nested({"a.b.c": 1, "a.d": 2, "e": {"f.g": 3}}) == {"a": {"b": {"c": 1}, "d": 2}, "e": {"f": {"g": 3}}}


def test_sections_are_merged_and_neither_side_changes() -> None:
    base = {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
    change = {"a": {"c": {"d": 4}}, "f": 5}
    assert merged(base, change) == {"a": {"b": 1, "c": {"d": 4}}, "e": 3, "f": 5}
    assert base == {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
    assert change == {"a": {"c": {"d": 4}}, "f": 5}


def test_a_section_of_another_kind_replaces_the_old_one() -> None:
    base = {"source": {"format": "recbole", "path": "a", "extra": 1}}
    assert merged(base, {"source": {"format": "table", "path": "b"}}) == {"source": {"format": "table", "path": "b"}}


def test_null_removes_a_section_but_is_a_value_elsewhere() -> None:
    assert merged({"a": {"b": 1}, "c": 2}, {"a": None, "c": None}) == {"c": None}


def test_changes_come_in_order_experiment_data_set_setting() -> None:
    made = compose(
        experiment(
            change={"candidates.size": 20, "x": 1},
            datasets={"d": {"change": {"candidates.size": 30, "y": 1}}},
            settings={"s": {"change": {"candidates.size": 40}}},
            seeds=[5, 6],
        ),
        BASE,
        "d",
        "s",
    )
    assert (made["candidates"]["size"], made["x"], made["y"], made["seeds"]) == (40, 1, 1, [5, 6])
    assert made["output"] == str(Path("runs/e/d/s"))
    assert made["report"]["baseline"] == "full"


def test_variants_replace_and_models_join() -> None:
    models = {"new": {"family": "lightgcn"}, "full": {"prune_rate": 0.5}}
    made = compose(experiment(models=models, variants={"full": {"model": "new"}}), BASE, "data", "base")
    assert made["models"]["full"] == {"family": "llmrec", "training": {"lr": 0.1}, "prune_rate": 0.5}
    assert list(made["variants"]) == ["full"]


def test_a_sweep_of_several_variants_makes_one_of_each_for_every_value() -> None:
    variants = {"full": {"model": "full", "source": "rule"}, "plain": {"model": "full"}}
    sweeps = {"lr": {"variants": ["full", "plain"], "option": "training.lr", "values": [0.5, 0.25]}}
    made = compose(experiment(sweeps=sweeps, variants=variants), BASE, "data", "base")
    for variant in ("full", "plain"):
        for value in (0.5, 0.25):
            name = f"lr-{variant}={value}"
            assert made["models"][name]["training"]["lr"] == value
            assert made["variants"][name] == {**variants[variant], "model": name}


def test_a_sweep_makes_a_variant_for_every_value() -> None:
    sweeps = {"lr": {"variant": "full", "option": "training.lr", "values": [0.5, 0.25]}}
    made = compose(experiment(sweeps=sweeps), BASE, "data", "base", {"full": {"prune_rate": 0.3}})
    assert made["models"]["lr=0.25"] == {"family": "llmrec", "training": {"lr": 0.25}, "prune_rate": 0.3}
    assert made["variants"]["lr=0.5"] == {"model": "lr=0.5", "source": "llm"}
    assert swept_variant("a", "x/y z") == "a=x-y-z"


def test_a_search_leaves_the_models_of_stages_alone(experiment_file: Path) -> None:
    search = {"trials": 2, "spaces": "spaces"}
    run = {**BASE, "base": {"model": "full", "vectors": None}}
    made = compose(experiment(search=search), run, "data", "base", {"full": {"training.lr": 9.0}})
    assert made["candidates"]["model"] == "candidates-base"
    assert made["base"] == {"model": "hints-base", "vectors": None}
    for model in ("candidates-base", "hints-base"):
        assert made["models"][model]["training"]["lr"] == 0.1
    assert made["models"]["full"]["training"]["lr"] == 9.0
    assert "hints-vectors" not in made["models"]


@pytest.mark.parametrize("path", sorted(Path("configs/ml-100k").glob("[tf]*.yaml")), ids=str)
def test_every_shipped_experiment_is_valid_and_headed_by_its_command(path: Path) -> None:
    plan = read_experiment(path)
    assert plan.experiment.name == path.stem
    assert f"augrec experiment {path}" in path.read_text()


def test_all_tables_and_figures_are_there() -> None:
    shipped = {path.stem for path in Path("configs/ml-100k").glob("*.yaml")}
    assert {"table2", "table3", "table4", "table6", "figure4"} <= shipped


def test_table_2_has_every_family_that_ranks_and_table_3_every_ablation() -> None:
    from recsys.options import Judged
    from tests.kit.families import families

    config = read_experiment(Path("configs/ml-100k/table2.yaml")).cells[0].config
    twice = {"mf_bpr_sgd"}  # the model of mf_bpr, trained otherwise
    assert {config.models[variant.model].family for variant in config.variants.values()} >= (
        set(families(Judged.RANKING)) - twice
    )
    ablation = read_experiment(Path("configs/ml-100k/table3.yaml"))
    models = ablation.cells[0].config
    full, prune, qc = (models.models[models.variants[name].model] for name in ("llmrec", "wo-prune", "wo-qc"))
    assert (full.keep, full.restoration.active) == ("hard", True)
    assert (prune.keep, prune.restoration.active) == ("all", True)
    assert (qc.keep, qc.restoration.active) == ("all", False)
    change = {name: variant.change for name, variant in models.variants.items()}
    assert change["wo-u-i"] == {"edges": "none"}
    assert change["wo-u"] == {"user_profile": "none"}
    assert change["wo-ui"] == {"user_profile": "none", "item_attributes": "none"}
