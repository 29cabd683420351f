"""Every mistake in an experiment is named before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from augrec.artefacts.errors import UsageError
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.studies.config_files import check_file
from augrec.pipeline.studies.experiment.plan import read_experiment
from augrec.pipeline.studies.search.spaces import read_space
from recsys.models.registry import FAMILIES


def problem(path: Path, *overrides: str) -> str:
    with pytest.raises(UsageError) as caught:
        read_experiment(path, list(overrides))
    return str(caught.value)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("datset={}", "datset: unknown key; did you mean 'datasets'?"),
        ("tables.main.metrcs=[]", "tables.main.metrcs: unknown key; did you mean 'metrics'?"),
        ("tables={}", "tables: an experiment without tables and sweeps shows nothing"),
        ("tables.main.baseline=grph", "tables.main.baseline: 'grph' is not one of"),
        ("tables.main.rows=[grap]", "tables.main.rows: 'grap' is not one of graph, popular; did you mean 'graph'?"),
        ("tables.main.baseline=null", "name the variant to compare with"),
        ("tables.main.against={graph: popular, popular: null}", "stay: tables.main.against={graph: popular}"),
        ("tables.main.settings=[hot]", "tables.main.settings: 'hot' is not one of base"),
        ("tables.main.metrics=[recall@20]", "recall@20 is not computed"),
        ("change.training.epoch=3", "training.epoch: unknown key; did you mean 'epochs'?"),
        ("variants.graph.model=grph", "variants.graph.model: 'grph' is not defined in `models`"),
        ("sweeps={s: {variant: graph, option: layer, values: [1]}}", "layer: unknown key; did you mean 'layers'?"),
        ("sweeps={s: {variant: nobody, option: layers, values: [1]}}", "'nobody' is not a variant"),
        ("sweeps={s: {variant: graph, option: layers, values: [1]}}", "sweeps.s.metrics: recall@20 is not computed"),
        (
            "sweeps={s: {option: layers, values: [1]}}",
            "varies the model of one `variant`, or those of several `variants`",
        ),
        (
            "sweeps={s: {variant: graph, variants: [popular], option: layers, values: [1]}}",
            "of one `variant`, or those",
        ),
        ("sweeps={s: {variants: [graph, graph], option: layers, values: [1]}}", "one is listed twice"),
        ("sweeps={s: {variants: [graph, grph], option: layers, values: [1]}}", "sweeps.s.variants: 'grph' is not a"),
        ("sweeps={s: {variant: graph, option: layers, own: 1, values: [1]}}", "own: 1 is among the `values`"),
        (
            "sweeps={s: {variant: graph, option: layers, own: 7, values: [1], metrics: [recall@10]}}",
            "sweeps.s.own: the model of 'graph' has another layers than 7",
        ),
        (
            "sweeps={s: {variant: graph, option: training.noise, own: 0.5, values: [0.1], metrics: [recall@10]}}",
            "sweeps.s.own: the model of 'graph' has another training.noise than 0.5",
        ),
        ("search={trials: 2, spaces: spaces, seeds: [2]}", "seed 2 is also reported"),
        ("search={trials: 2, spaces: nowhere}", "no search space here"),
        ("search={trials: 0, spaces: spaces}", "search.trials: input should be greater than 0"),
        ("search={trials: 2, spaces: spaces, models: [grap]}", "search.models: 'grap' is not one of"),
        ("models.text={family: vbpr}", "models.text: family vbpr needs item features"),
        ("base=nowhere.yaml", "does not exist"),
        ("base=experiment.yaml", "must be a run config"),
        ("datasets={../../x: {}}", "datasets: '../../x' cannot be a name"),
        ("datasets={Tables: {}}", "datasets: the name 'Tables' is taken by a folder of the experiment"),
        ("settings={'': {}}", "settings: a name cannot be empty"),
        ("settings={hot: {}, HOT: {}}", "settings: 'hot' and 'HOT' differ in capitals alone"),
        ("tables={a/b: {title: t, baseline: graph}}", "tables: 'a/b' cannot be a name"),
        ("sweeps={../s: {variant: graph, option: layers, values: [1]}}", "sweeps: '../s' cannot be a name"),
        ("sweeps={s: {variant: graph, option: layers, values: [1, '1']}}", "makes a second variant or model called"),
        ("variants={../x: {model: graph}}", "variants: '../x' cannot be a name"),
        ("name=a/b", "name: 'a/b' cannot be a name"),
    ],
)
def test_a_mistake_is_named(experiment_file: Path, override: str, expected: str) -> None:
    assert expected in problem(experiment_file, override)


def test_the_cell_with_the_mistake_is_named(experiment_file: Path) -> None:
    text = problem(experiment_file, "settings={good: {}, bad: {change: {candidates.size: 0}}}")
    assert "setting bad" in text
    assert "candidates.size" in text


def test_profiles_that_nobody_writes_are_refused(experiment_file: Path) -> None:
    text = problem(
        experiment_file,
        "change={embedding: {}, generation: {sources: {rule: {engine: {kind: heuristic}, tasks: [edges]}}}}",
        "models.sided={family: lightgcn, side: {profile: 1.0}}",
        "variants.sided={model: sided, source: rule}",
    )
    assert "variants.sided: models.sided.side.profile is 1, and nobody makes profiles for it" in text


def test_runs_and_experiments_are_told_apart(experiment_file: Path) -> None:
    base = experiment_file.parent / "base.yaml"
    assert check_file(experiment_file) == "experiment, 1 run"
    assert check_file(base) == "run"
    assert check_file(experiment_file.parent / "spaces" / "lightgcn.yaml") == "search space"
    with pytest.raises(UsageError, match="augrec experiment"):
        read_config(experiment_file)
    with pytest.raises(UsageError, match="augrec run"):
        read_experiment(base)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_search_space_that_its_options_accept(family: str) -> None:
    assert read_space(Path("configs/spaces") / f"{family}.yaml").family == family


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("layer: {kind: int, low: 1, high: 3}", "space.layer: layer: unknown key; did you mean 'layers'?"),
        ("layers: {kind: int, low: -1, high: 3}", "space.layers: layers: input should be greater than or equal to 0"),
        ("layers: {kind: int, low: 3, high: 3}", "low must lie below high"),
        ("l2: {kind: float, low: 0, high: 1, log: true}", "above 0 for log"),
        ("l2_kind: {kind: choice, values: [squared, cubed]}", "'cubed' is not one of squared, norm"),
        ("l2_kind: {kind: choise, values: [squared]}", "'choise' is not one of"),
    ],
)
def test_a_wrong_space_is_named(tmp_path: Path, line: str, expected: str) -> None:
    path = tmp_path / "lightgcn.yaml"
    path.write_text(f"family: lightgcn\nspace:\n  {line}\n")
    with pytest.raises(UsageError) as caught:
        read_space(path)
    assert expected in str(caught.value)


def test_a_space_is_called_like_its_family(tmp_path: Path) -> None:
    (tmp_path / "ease.yaml").write_text("family: lightgcn\nspace: {}\n")
    with pytest.raises(UsageError, match=r"must be called lightgcn\.yaml"):
        read_space(tmp_path / "ease.yaml")


def test_who_is_told_by_a_history_needs_no_profiles(experiment_file: Path) -> None:
    vectors = experiment_file.parent / "image.npy"
    given = f"change={{features: {{image: {{path: {vectors}}}}}}}"
    needy = ["models={cosine: {family: text_cosine}}", "variants.cosine={model: cosine}", given]
    assert "variants.cosine: family text_cosine needs user profiles" in problem(experiment_file, *needy)
    plan = read_experiment(experiment_file, [*needy, "models.cosine.user=history"])
    assert "cosine" in plan.cells[0].config.variants
    tuned = "models={cosine: {family: tuned, model: {family: text_cosine%s}, space: {modalities: [null]}}}"
    assert "needs user profiles" in problem(experiment_file, tuned % "", *needy[1:])
    read_experiment(experiment_file, [tuned % ", user: history", *needy[1:]])


def test_noise_is_of_a_model_and_not_of_its_members(experiment_file: Path) -> None:
    blend = "models={both: {family: blend, members: {a: {family: popularity%s}, b: {family: ease}}}}"
    noisy = blend % ", training: {noise: 0.1}"
    expected = (
        "models.both.members.a.training.noise: a model and what it is made of are trained on the same interactions"
    )
    assert expected in problem(experiment_file, noisy, "variants.both={model: both}")
    read_experiment(experiment_file, [blend % "", "variants.both={model: both}", "models.both.training.noise=0.1"])
    swept = "sweeps={noise: {variant: graph, option: training.noise, values: [0, 0.1], metrics: [recall@10]}}"
    config = read_experiment(experiment_file, [swept]).cells[0].config
    training = config.models["noise=0.1"].training
    assert training is not None
    assert training.noise == 0.1
