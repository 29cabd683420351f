"""Two runs over two periods: the later one starts from the earlier one's embeddings."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from augrec.artefacts.errors import AugrecError, DataError, UsageError
from augrec.artefacts.files import read_json
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.audit import audit_run
from augrec.pipeline.config.run_config import Config, read_config
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.train import trainings_of
from augrec.pipeline.training.start_from import Origin, StartFrom
from recsys.data.dataset import Dataset
from tests.kit.toy_config import toy_config, write_config
from tests.kit.toy_data import write_toy_data
from tests.kit.toy_run import advance

MODELS = """
dataset: {k_core: 0, min_rating: null}
models: {graph: {family: lightgcn, dim: 8, layers: 1}}
seeds: [1, 2]
variants: {graph: {model: graph}}
report: {baseline: graph}
"""
pytestmark = pytest.mark.slow
CHAIN = ("prepare", "candidates", "augment", "embed")
CHECK = "what trainings start from saw nothing that is held out here"


def opened(root: Path, name: str, *patches: str) -> Run:
    content = toy_config(root / "data", MODELS, f"{{output: {root / name}}}", *patches)
    return Run(read_config(write_config(root / f"{name}.yaml", content)))


def later(root: Path, start: str = "", *patches: str) -> Run:
    started = f"variants: {{started: {{model: graph, start_from: {{run: {root / 'before'}, variant: graph{start}}}}}}}"
    return opened(root, "after", "dataset: {period: {since: 0.5}}", started, *patches)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data and the run over the first half of the time."""
    root = tmp_path_factory.mktemp("starts")
    write_toy_data(root / "data")
    advance(opened(root, "before", "dataset: {period: {until: 0.5}}"), *CHAIN, "train")
    return root


@pytest.fixture
def root(before: Path, tmp_path: Path) -> Path:
    shutil.copytree(before, tmp_path / "all")
    return tmp_path / "all"


def fingerprints(run: Run) -> dict[str, str]:
    return {f"{training.variant}/{training.seed}": training.fingerprint for training in trainings_of(run)}


def test_each_seed_starts_from_the_one_with_its_own(root: Path) -> None:
    run = later(root)
    advance(run, *CHAIN, "train")
    earlier, now = (Dataset.load(RunFolder(folder).dataset) for folder in (root / "before", run.folder))
    both = set(earlier.users["source_id"].to_pylist()) & set(now.users["source_id"].to_pylist())
    for seed in (1, 2):
        metrics = read_json(RunFolder(run.folder).training("started", seed).metrics)
        assert metrics["start"] == {"users": len(both), "items": 30}
        log = RunFolder(run.folder).training("started", seed).log.read_text()
        assert f"before/train/graph/seed-{seed}/model.safetensors" in log
        plain = read_json(RunFolder(run.folder).training("graph", seed).metrics)
        assert plain["history"][0]["loss"] != metrics["history"][0]["loss"]
    audit = audit_run(run.folder)
    assert audit.violations == 0
    assert [check.rows for check in audit.checks if check.name == CHECK] == [len(earlier.train)]


def test_only_the_content_of_what_it_starts_from_counts(root: Path) -> None:
    run = later(root)
    advance(run, "prepare")
    known = fingerprints(run)
    shutil.copytree(root / "before", root / "copy")
    moved = later(root, "", f"variants: {{started: {{start_from: {{run: {root / 'copy'}}}}}}}")
    assert fingerprints(moved) == known
    one, other = (RunFolder(root / "copy").training("graph", seed).model for seed in (1, 2))
    one.write_bytes(other.read_bytes())
    changed = fingerprints(moved)
    assert changed["started/1"] != known["started/1"]
    assert {name: changed[name] for name in ("started/2", "graph/1", "graph/2")} == {
        name: known[name] for name in ("started/2", "graph/1", "graph/2")
    }
    assert fingerprints(later(root, ", seed: 2"))["started/1"] == changed["started/1"]


def test_the_train_stage_is_stale_when_its_start_has_changed(root: Path) -> None:
    run = later(root)
    advance(run, *CHAIN, "train")
    assert "skipped, unchanged" in advance(run, "train")
    one, other = (RunFolder(root / "before").training("graph", seed).model for seed in (1, 2))
    one.write_bytes(other.read_bytes())
    assert "skipped" not in advance(run, "train")


@pytest.mark.parametrize(
    ("start", "damage", "expected"),
    [
        ("", lambda root: shutil.rmtree(root / "before"), "the run to start from is not there"),
        (", seed: 7", None, "was not trained with seed 7"),
        ("", lambda root: RunFolder(root / "before").training("graph", 1).model.unlink(), "kept no model"),
        ("", lambda root: RunFolder(root / "before").training("graph", 1).metrics.unlink(), "has not finished"),
        ("", lambda root: (root / "before/train/graph").rename(root / "before/train/grph"), "did you mean 'grph'?"),
    ],
)
def test_what_cannot_be_started_from_is_named_when_training_begins(
    root: Path, start: str, damage: Callable[[Path], Any] | None, expected: str
) -> None:
    run = later(root, start)
    advance(run, *CHAIN)
    if damage is not None:
        damage(root)
    trainings_of(run)  # a look at the run is no error
    with pytest.raises(AugrecError) as caught:
        advance(run, "train")
    assert expected in str(caught.value)


def test_a_run_does_not_start_from_itself(root: Path) -> None:
    options = StartFrom(run=root / "before", variant="graph")
    with pytest.raises(UsageError, match="a variant starts from another run"):
        Origin.of(options, 1, root / "before")


def test_a_start_that_saw_what_is_held_out_is_refused_and_the_audit_finds_it(root: Path) -> None:
    run = opened(root, "again", "dataset: {period: {until: 0.5}}", "seed: 8", f"variants: {{started: {{model: graph, "
                 f"start_from: {{run: {root / 'before'}, variant: graph}}}}}}")  # fmt: skip
    advance(run, *CHAIN)
    with pytest.raises(AugrecError, match="interactions that are held out here were training interactions there"):
        advance(run, "train")
    run.files.config.write_text("{variants: {started: {start_from: {run: %s}}}}" % (root / "before"))
    check = next(check for check in audit_run(run.folder).checks if check.name == CHECK)
    assert check.violations
    assert "is in train there and held out here" in check.violations[0]


def test_the_place_is_no_part_of_what_a_run_is(root: Path) -> None:
    from augrec.pipeline.config.run_config import without_places

    config: Config = later(root).config
    start = config.variants["started"].start_from
    assert start is not None
    assert without_places(config)["variants"]["started"]["start_from"] == {"variant": "graph", "seed": None}


def test_a_run_over_data_of_others_is_no_start(root: Path) -> None:
    options = StartFrom(run=root / "before", variant="graph")
    strangers = Dataset.from_arrays(2, 2, [[0, 0]], [[1, 0]], [[1, 1]])  # type: ignore[arg-type]
    names = {"source_id": ["a", "b"]}
    import pyarrow as pa

    renamed = Dataset.from_arrays(
        2, 2, strangers.train, strangers.valid, strangers.test,
        items=pa.table({"item": [0, 1]} | names), users=pa.table({"user": [0, 1]} | names),
    )  # fmt: skip
    with pytest.raises(DataError, match="none of the 2 users and 2 items is known"):
        Origin.of(options, 1, root).read(renamed)
