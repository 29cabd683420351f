"""Configs: every shipped file is valid, every mistake is named with its key and the nearest known one."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from augrec.artefacts.errors import UsageError
from augrec.pipeline.config.run_config import as_plain, read_config, save_config
from augrec.pipeline.config.sections import read_sections
from tests.kit.toy_config import toy_config, write_config

CONFIGS = [
    path for path in sorted(Path("configs").rglob("*.yaml")) if {"dataset", "variants"} <= read_sections(path).keys()
]
SECTIONS = """
name: small
dataset: {name: toy, k_core: null}
generation: {sources: {rule: {engine: {kind: heuristic}}}}
embedding: {model: somewhere}
candidates: null
models: {popular: null, lightgcn: {family: lightgcn}, llmrec: {family: llmrec}}
training: null
evaluation: null
variants: {popular: null, base: {model: lightgcn}, augmented: {model: llmrec, source: rule}}
report: {baseline: base, primary: null, secondary: null}
"""
MINIMAL = yaml.safe_dump(toy_config("somewhere", SECTIONS), sort_keys=False)


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(MINIMAL)
    return path


def problem(path: Path, *overrides: str) -> str:
    with pytest.raises(UsageError) as caught:
        read_config(path, list(overrides))
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize("path", CONFIGS, ids=str)
def test_every_shipped_config_is_valid_and_headed_by_its_command(path: Path) -> None:
    read_config(path)
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert any(f"augrec run {path}" in line for line in header)


def test_there_are_configs() -> None:
    assert {"demo.yaml", "llmrec.yaml"} <= {path.name for path in CONFIGS}


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("datset={}", "datset: unknown key; did you mean 'dataset'?"),
        ("dataset.kcore=5", "dataset.kcore: unknown key; did you mean 'k_core'?"),
        ("dataset.source.frmat=x", "dataset.source.frmat: unknown key; did you mean 'format'?"),
        ("dataset.split.kind=randm", "dataset.split.kind: 'randm' is not one of random, hashed, leave_last_out"),
        ("models.lightgcn.layer=2", "models.lightgcn.layer: unknown key; did you mean 'layers'?"),
        ("models.lightgcn.family=lightgnc", "models.lightgcn.family: 'lightgnc' is not one of"),
        ("generation.sources.rule.engine.kind=vlm", "generation.sources.rule.engine.kind: 'vlm' is not one of"),
        ("generation.sources.rule.enginee=1", "generation.sources.rule.enginee: unknown key; did you mean 'engine'?"),
        ("training.lr=fast", "training.lr: should be a number (given: 'fast')"),
        ("training.epochs=2.5", "training.epochs: should be a whole number (given: 2.5)"),
        ("dataset=3", "dataset: should be a section with keys of its own (given: 3)"),
        ("dataset.k_core=", "dataset.k_core: should be a whole number (given: null)"),
        ("seeds=1", "seeds: should be a list (given: 1)"),
        ("seeds=[]", "seeds: should have 1 or more, and has 0 (given: [])"),
        ("dataset.source.format=csv", "dataset.source.format: 'csv' is not one of recbole"),
        ("variants.base.model=lightgbm", "variants.base.model: 'lightgbm' is not defined in `models`"),
        ("variants.augmented.source=gpt", "variants.augmented.source: 'gpt' is not defined in `generation.sources`"),
        (
            "models.lightgcn={family: vbpr}",
            "candidates.model: 'lightgcn' needs features (item), and candidates are listed",
        ),
        ("report.baseline=bse", "report.baseline: 'bse' is not defined in `variants`"),
        ("report.primary=recall@7", "report.primary: recall@7 is not computed"),
        ("seeds=[1,1]", "seeds: a seed is listed twice"),
        ("embedding=null", "embedding: missing"),
        (
            "variants.bas=null",
            "variants.bas: null takes out a section that is there, and 'bas' is none; did you mean 'base'?",
        ),
        ("training.monitor=recall@5", "training.monitor: recall@5 is not computed"),
        ("name=../escape", "name: '../escape' cannot be a name"),
    ],
)
def test_a_mistake_is_named(config_file: Path, override: str, expected: str) -> None:
    assert expected in problem(config_file, override)


def test_a_misspelt_family_suggests_the_nearest(config_file: Path) -> None:
    assert "did you mean 'lightgcn'?" in problem(config_file, "models.lightgcn.family=lightgnc")


def test_all_problems_are_listed_at_once(config_file: Path) -> None:
    text = problem(config_file, "dataset.kcore=5", "training.epoch=3")
    assert "2 problems" in text
    assert "kcore" in text
    assert "epoch" in text


def test_a_required_section_is_named(config_file: Path) -> None:
    content = yaml.safe_load(MINIMAL)
    del content["dataset"]
    config_file.write_text(yaml.safe_dump(content))
    assert "dataset: required, but missing" in problem(config_file)


@pytest.mark.parametrize("override", ["dataset.k_core", "=5", "dataset..k_core=5", "name.deeper=1", "seeds=[1,"])
def test_a_malformed_override_is_refused(config_file: Path, override: str) -> None:
    assert override.partition("=")[0] in problem(config_file, override)


def test_overrides_replace_values_and_leave_the_rest(config_file: Path) -> None:
    config = read_config(config_file, ["dataset.k_core=7", "seeds=[3, 4]", "models.lightgcn.training={lr: 0.5}"])
    assert (config.dataset.k_core, config.seeds) == (7, [3, 4])
    assert as_plain(config)["models"]["lightgcn"]["training"] == {"lr": 0.5}
    assert as_plain(config)["dataset"]["name"] == "toy"


def test_null_removes_a_named_section(config_file: Path) -> None:
    with_another = ["models.other={family: lightgcn}", "variants.other={model: other}"]
    assert "other" in read_config(config_file, with_another).variants
    assert read_config(config_file, [*with_another, "variants.other=null", "models.other=null"]) == read_config(
        config_file
    )
    assert "'other' is not defined in `models`" in problem(config_file, *with_another, "models.other=null")


def test_a_name_that_is_there_is_one_step_of_a_key(config_file: Path) -> None:
    content = yaml.safe_load(config_file.read_text())
    content["variants"]["lr=0.1"] = {"model": "lightgcn"}
    config_file.write_text(yaml.safe_dump(content))
    assert "lr=0.1" in read_config(config_file).variants
    assert "lr=0.1" not in read_config(config_file, ["variants.lr=0.1=null"]).variants
    changed = read_config(config_file, ["variants.lr=0.1.model=llmrec", "variants.lr=0.1.source=rule"])
    assert (changed.variants["lr=0.1"].model, changed.variants["lr=0.1"].source) == ("llmrec", "rule")


def test_a_key_given_twice_is_refused(config_file: Path) -> None:
    config_file.write_text(MINIMAL + "seed: 1\nseed: 2\n")
    assert "the key 'seed' is given twice" in problem(config_file)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("seed=-1", "seed: input should be greater than or equal to 0"),
        ("seeds=[1,-2]", "seeds.1: input should be greater than or equal to 0"),
        ("seed=99999999999999999999", "seed: input should be less than or equal to"),
        ("seed=010", "010 is 8 in YAML"),
        ("dataset.k_core=1:30", "1:30 is 90 in YAML"),
        ("training.learning_rate=1:30.5", "1:30.5 is 90.5 in YAML"),
        ("seeds=[2, yes]", "seeds.1: should be a number, not a truth value"),
        ("dataset.k_core=true", "dataset.k_core: should be a number"),
        ("training.epochs=on", "training.epochs: should be a number"),
    ],
)
def test_numbers_that_nothing_draws_with_or_that_yaml_reads_otherwise_are_refused(
    config_file: Path, override: str, said: str
) -> None:
    assert said in problem(config_file, override)


def test_a_number_that_yaml_reads_otherwise_is_refused_in_a_file_too(config_file: Path) -> None:
    config_file.write_text(MINIMAL.replace("name: ", "report_to: 010\nname: ", 1))
    assert "010 is 8 in YAML" in problem(config_file)


def test_truth_values_are_read_where_they_are_asked_for(config_file: Path) -> None:
    assert read_config(config_file, ["training.keep_checkpoint=yes"]).training.keep_checkpoint is True


def test_usual_ways_of_writing_numbers_are_read(config_file: Path) -> None:
    for text, number in (("0", 0), ("1_000", 1000), ("0x10", 16), ("+7", 7)):
        assert read_config(config_file, [f"seed={text}"]).seed == number


@pytest.mark.parametrize("content", ["", "- a\n- b\n", "just text\n", "a: [1\n"])
def test_a_file_that_is_no_config_is_refused(config_file: Path, content: str) -> None:
    config_file.write_text(content)
    assert str(config_file) in problem(config_file)


LAUGHS = "\n".join([
    "a0: &a0 [x, x, x, x, x, x, x, x, x, x]",
    *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)),
])  # fmt: skip


@pytest.mark.parametrize("content", [LAUGHS, "a: &a [*a]", "a: &a {b: *a}", "a: " + "[" * 5000 + "]" * 5000])
def test_a_config_that_unfolds_without_end_is_refused(config_file: Path, content: str) -> None:
    config_file.write_text(content)
    text = problem(config_file)
    assert "unfolds to more than" in text or "nested too deep" in text


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "does not exist" in problem(tmp_path / "nothing.yaml")
    (tmp_path / "file").touch()
    assert "cannot be read: Not a directory" in problem(tmp_path / "file" / "toy.yaml")
    assert "is a folder" in problem(tmp_path)
    (tmp_path / "config.yaml").touch()
    assert f"name the file: {tmp_path / 'config.yaml'}" in problem(tmp_path)


def test_the_resolved_config_reads_back_as_the_same_config(config_file: Path, tmp_path: Path) -> None:
    config = read_config(config_file, ["models.lightgcn.training={epochs: 3}"])
    save_config(config, tmp_path / "resolved.yaml")
    assert read_config(tmp_path / "resolved.yaml") == config


def test_gpu_settings_are_part_of_the_schema(config_file: Path) -> None:
    engine = (
        "{kind: vllm, model: Qwen/Qwen2.5-7B-Instruct, tensor_parallel: 2, dtype: bfloat16, "
        "gpu_memory_fraction: 0.85, lora: adapters/movies, quantization: fp8}"
    )
    config = read_config(config_file, [f"generation.sources.rule.engine={engine}"])
    assert config.generation is not None
    assert config.generation.sources["rule"].engine.kind == "vllm"


def test_modalities_that_a_blends_member_asks_for_have_to_be_there(config_file: Path) -> None:
    members = "{a: {family: ease}, b: {family: vbpr, modalities: [text, image]}}"
    wanted = f"models.llmrec={{family: blend, members: {members}}}"
    with pytest.raises(UsageError, match=r"models\.llmrec\.members\.b\.modalities: the data have no 'image' features"):
        read_config(config_file, [wanted])
    tuned = "models.llmrec={family: tuned, model: {family: vbpr, modalities: [image]}, space: {dim: [8, 16]}}"
    with pytest.raises(UsageError, match=r"models\.llmrec\.model\.modalities: the data have no 'image' features"):
        read_config(config_file, [tuned])


def test_modalities_that_the_data_lack_are_named(config_file: Path) -> None:
    wanted = "models.llmrec={family: vbpr, modalities: [text, image]}"
    with pytest.raises(UsageError, match=r"models\.llmrec\.modalities: the data have no 'image' features") as error:
        read_config(config_file, [wanted])
    assert "features.image.path" in str(error.value)
    assert read_config(config_file, [wanted, "features.image.path=image.npy"]).features["image"].zero_rows == "error"


BAD_NAMES = ["../../escaped/x", "", "/etc/x", "a/b", "a,b", ".x", "-x", "nul", "stage.json", "x" * 101, "a\nb"]


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
@pytest.mark.parametrize("section", ["variants", "models", "generation.sources", "features"])
def test_a_name_that_is_a_path_is_refused(config_file: Path, section: str, name: str) -> None:
    content = yaml.safe_load(MINIMAL)
    entries = {
        "variants": {"model": "lightgcn"},
        "models": {"family": "popularity"},
        "generation.sources": {"engine": {"kind": "heuristic"}},
        "features": {"path": "x.npy"},
    }
    owner = content
    for step in section.split("."):
        owner = owner.setdefault(step, {})
    owner[name] = entries[section]
    config_file.write_text(yaml.safe_dump(content))
    text = problem(config_file)
    assert f"{section}: " in text
    assert "name" in text


@pytest.mark.parametrize("output", ["''", "'  '", '"\\0"'])
def test_an_empty_output_is_not_the_folder_one_stands_in(config_file: Path, output: str) -> None:
    assert "output: name a folder" in problem(config_file, f"output={output}")


@pytest.mark.parametrize("section", ["variants", "models"])
def test_names_that_differ_in_capitals_alone_are_refused(config_file: Path, section: str) -> None:
    content = yaml.safe_load(MINIMAL)
    first = next(iter(content[section]))
    content[section][first.upper()] = content[section][first]
    config_file.write_text(yaml.safe_dump(content, sort_keys=False))
    assert f"{section}: '{first}' and '{first.upper()}' differ in capitals alone" in problem(config_file)


def test_the_members_of_a_blend_are_folders_too(config_file: Path) -> None:
    members = "{../../x: {family: ease}, item_knn: {family: item_knn}}"
    text = problem(config_file, f"models.mixed={{family: blend, members: {members}}}")
    assert "models.mixed.members: '../../x' cannot be a name" in text


def test_features_may_not_take_the_name_of_text_or_a_source(config_file: Path) -> None:
    for name in ("text", "rule"):
        with pytest.raises(UsageError, match=f"features.{name}: the name is taken"):
            read_config(config_file, [f"features.{name}.path=x.npy"])


@pytest.mark.parametrize("name", ["../x", "a/b", "image.v2"])
def test_features_have_names_that_are_file_names(config_file: Path, name: str) -> None:
    wanted = yaml.safe_load(config_file.read_text()) | {"features": {name: {"path": "x.npy"}}}
    config_file.write_text(yaml.safe_dump(wanted))
    with pytest.raises(UsageError, match="features"):
        read_config(config_file)


PARTS = """
embedding: {device: cpu}
models: {light: {family: lightgcn}, sided: {family: lightgcn, side: {profile: 0.1}}}
"""


def with_parts(folder: Path, tasks: str, variant: str) -> Path:
    source = f"generation: {{sources: {{some: {{engine: {{kind: heuristic}}, tasks: {tasks}}}}}}}"
    return write_config(folder / "parts.yaml", toy_config("nowhere", PARTS, source, f"variants: {{given: {variant}}}"))


@pytest.mark.parametrize(
    ("tasks", "variant", "said"),
    [
        (
            "[user_profile]",
            "{model: light, source: some, change: {edges: random}}",
            "variants.given.change.edges: random",
        ),
        (
            "[item_attributes]",
            "{model: light, source: some, change: {edges: random-candidates}}",
            "has the tasks item_attributes",
        ),
        (
            "[edges]",
            "{model: light, source: some, change: {user_profile: shuffled}}",
            "variants.given.change.user_profile: shuffled",
        ),
        (
            "[edges]",
            "{model: light, source: some, change: {user_profile: constant}}",
            "variants.given.change.user_profile: constant",
        ),
        (
            "[edges]",
            "{model: light, source: some, change: {item_attributes: shuffled}}",
            "variants.given.change.item_attributes: shuffled",
        ),
        (
            "[edges]",
            "{model: light, source: some, change: {edges: constant}}",
            "edges gives edges, which cannot be",
        ),
        ("[edges]", "{model: light, source: some, change: {edge: none}}", "did you mean 'edges'"),
        ("[edges]", "{model: light, source: some, change: {edges: shufled}}", "did you mean 'shuffled'"),
        (
            "[edges]",
            "{model: light, source: some, edges: random, profiles: none, attributes: as-is}",
            "change: {edges: random, user_profile: none}",
        ),
        ("[edges]", "{model: light, change: {user_profile: shuffled}}", "made from the answers of a source"),
        ("[edges]", "{model: light, change: {edges: random}}", "made from the answers of a source"),
        ("[edges]", "{model: sided, source: some}", "nobody makes profiles"),
        (
            "[user_profile]",
            "{model: sided, source: some, change: {edges: none, user_profile: none, item_attributes: none}}",
            "nobody makes",
        ),
        ("[edges]", "{model: sided}", "nobody makes profiles"),
    ],
)
def test_a_part_that_nobody_makes_is_refused(tmp_path: Path, tasks: str, variant: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_config(with_parts(tmp_path, tasks, variant))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("tasks", "variant"),
    [
        ("[edges]", "{model: light, source: some}"),
        ("[edges]", "{model: light, source: some, change: {user_profile: none, edges: shuffled}}"),
        ("[user_profile]", "{model: sided, source: some, change: {edges: none}}"),
        ("[edges, user_profile]", "{model: light, source: some, change: {user_profile: shuffled}}"),
        ("[edges]", "{model: light, source: some, change: {edges: none, user_profile: none, item_attributes: none}}"),
        ("[edges]", "{model: light}"),
        ("[user_profile]", "{model: light, source: some}"),
        ("[user_profile]", "{model: light, source: some, change: {item_attributes: none, user_profile: as-is}}"),
        ("[edges]", "{model: light, change: {edges: none}}"),
    ],
)
def test_parts_that_are_made_or_left_out_are_accepted(tmp_path: Path, tasks: str, variant: str) -> None:
    assert read_config(with_parts(tmp_path, tasks, variant)).variants["given"].model


@pytest.mark.parametrize(
    ("family", "judged", "monitor"), [("sasrec", "the next item", "ndcg@10"), ("bias", "ratings", "rmse")]
)
def test_false_interactions_are_of_models_that_rank(config_file: Path, family: str, judged: str, monitor: str) -> None:
    other = [
        f"models={{popular: {{family: popularity, training: {{monitor: recall@20}}}}, odd: {{family: {family}}}}}",
        "variants={odd: {model: odd}}",
        "candidates.model=popular",
        f"report={{baseline: odd, primary: {monitor}, secondary: []}}",
        f"training.monitor={monitor}",
    ]
    read_config(config_file, other)
    said = problem(config_file, *other, "models.odd.training={noise: 0.1}")
    assert (
        f"models.odd: training.noise is of models that are judged by ranked lists, and this one is judged by {judged}"
        in said
    )
    assert "training.noise is of models" in problem(config_file, *other, "training.noise=0.1")
    assert "training.noise: input should be less than 1" in problem(config_file, "training.noise=1")


def test_a_model_that_is_split_starts_from_nobody(config_file: Path) -> None:
    run = ["models.light={family: lightgcn}", "variants.on={model: light, start_from: {run: runs/old, variant: light}}"]
    read_config(config_file, [*run, "variants.split={model: light}"])
    assert "variants.on.start_from: training.shard splits" in problem(config_file, *run, "training.shard=true")
    alone = problem(config_file, *run, "models.light.training={shard: true}")
    assert "variants.on.start_from: models.light.training.shard splits" in alone
    assert "leave start_from out" in alone
    read_config(config_file, [*run, "training.shard=true", "models.light.training={shard: false}"])
