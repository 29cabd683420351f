"""A package of a user's own: its model is trained in processes of their own, and counts in fingerprints by its code."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import augrec as augrec_api
from augrec.artefacts import plugins
from augrec.artefacts.errors import UsageError
from augrec.artefacts.plugins import load_plugins
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.trainings import read_training
from recsys.models.registry import FAMILIES, Family
from tests.kit.machine_speed import patience
from tests.kit.toy_config import toy_config, write_config
from tests.kit.toy_data import write_toy_data

ROOT = Path(__file__).parents[3]
FILES = {
    "lucky/__init__.py": "",
    "lucky/augrec.py": """
def register():
    from augrec.artefacts.metrics import register_metric
    from recsys.data.formats import READERS, DataFormat
    from recsys.evaluation.metrics.ranking import RANKING_METRICS, RankingMetric
    from recsys.models.registry import FAMILIES, Family

    from lucky.metric import tops
    from lucky.options import LuckyOptions

    from augrec.pipeline.stages import STAGES
    from lucky.stage import Greet

    STAGES.register(Greet())
    FAMILIES.register(Family(LuckyOptions, "lucky.model:Lucky", "general", "Lucky", "-"))
    READERS.register(DataFormat("lucky-files", "lucky.files:read"))
    RANKING_METRICS.register(RankingMetric("tops", tops))
    register_metric("tops", at_k=True)
""",
    "lucky/options.py": """
from typing import Literal

from recsys.models.options.base import FamilyOptions


class LuckyOptions(FamilyOptions):
    family: Literal["lucky"] = "lucky"
    most: int = 3
""",
    "lucky/model.py": """
from lucky.numbers import numbered
from recsys.models.popularity import Popularity


class Lucky(Popularity):
    @classmethod
    def build(cls, dataset, side, options, generator):
        return cls(dataset.n_items)

    def compute(self, dataset):
        self.counts = numbered(len(self.counts)).to(self.counts)
""",
    "lucky/files.py": "from recsys.data.readers.recbole import read\n\nGREETING = 'hello'\n",
    "lucky/numbers.py": "import torch\n\n\ndef numbered(n):\n    return torch.arange(n)\n",
    "lucky/metric.py": "def tops(hits, n_positives, k):\n    return hits[:, :k].double().amax(dim=1)\n",
    "lucky/stage.py": """
from augrec.pipeline.stages.base import Stage


class Greet(Stage):
    name = "greet"
    help = "Say hello to the users."
    section_name = "greeting"

    def section(self, run):
        return {}

    def finish(self, run):
        return {}

    def outputs(self, run):
        return []
""",
    "lucky/unused.py": "GREETING = 'hello'\n",
    "lucky-0.1.dist-info/METADATA": "Metadata-Version: 2.1\nName: lucky\nVersion: 0.1\n",
    "lucky-0.1.dist-info/entry_points.txt": "[augrec.plugins]\nlucky = lucky.augrec:register\n",
}
"""A package, and what installing it leaves beside it."""


def write_package(folder: Path) -> Path:
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def augrec(packages: Path, *words: str, codes: tuple[int, ...] = (0,)) -> str:
    """What a command prints, in a process that has the package on its path."""
    path = os.pathsep.join([str(packages), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "AUGREC_CACHE": str(packages.parent / "cache")}
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "augrec.cli", *words], env=environment, cwd=packages.parent,
        capture_output=True, text=True, check=False, timeout=patience(200),
    )  # fmt: skip
    assert ended.returncode in codes, ended.stdout + ended.stderr
    return ended.stdout


def config(folder: Path) -> Path:
    sections = {
        "output": str(folder / "run"),
        "models": {"mine": {"family": "lucky"}},
        "evaluation": {"cutoffs": [10]},
        "seeds": [1, 2],
        "workers": 1,
        "variants": {"mine": {"model": "mine"}},
        "report": {"primary": "tops@10", "secondary": ["recall@10"]},
    }
    source = {"dataset": {"source": {"format": "lucky-files"}}}
    return write_config(folder / "lucky.yaml", toy_config(write_toy_data(folder / "data"), sections, source))


def states(packages: Path, run: Path) -> dict[str, str]:
    rows = json.loads(augrec(packages, "status", "--json", str(run)))["answer"]["stages"]
    return {f"{row['stage']} {row['group']}".strip(): row["state"] for row in rows}


@pytest.mark.slow
def test_a_package_on_the_path_trains_in_its_own_processes_and_is_identified_by_its_code(tmp_path: Path) -> None:
    packages = write_package(tmp_path / "packages")
    augrec(packages, "run", str(config(tmp_path)))
    run = RunFolder(tmp_path / "run")
    mine = read_training(run.training("mine", 1))
    assert mine.model == "lucky"
    assert 0 <= mine.test["tops@10"] <= 1

    def edit(name: str) -> None:
        path = packages / "lucky" / f"{name}.py"
        path.write_text(path.read_text().replace("hello", "bye").replace("arange(n)", "arange(n) + 1"))

    edit("unused")
    assert set(states(packages, run.root).values()) == {"done"}, "nothing of it is imported by the model"
    edit("numbers")
    after = states(packages, run.root)
    assert (after["prepare"], after["candidates"], after["train"]) == ("done", "done", "open")
    assert (after["train popular"], after["train mine"]) == ("done", "open")

    metric = packages / "lucky" / "metric.py"
    metric.write_text(metric.read_text().replace("amax", "amin"))
    after = states(packages, run.root)
    assert (after["prepare"], after["candidates"]) == ("done", "open"), "every training computes the metric"
    edit("files")
    assert states(packages, run.root)["prepare"] == "open", "it is read by it"


@pytest.mark.slow
def test_commands_list_what_a_package_adds(tmp_path: Path) -> None:
    packages = write_package(tmp_path / "packages")
    families = json.loads(augrec(packages, "models", "--json"))["answer"]
    assert "lucky" in [family["family"] for family in families]
    schema = augrec(packages, "schema", "run")
    assert '"lucky"' in schema
    assert '"lucky-files"' in schema
    assert "Say hello to the users." in augrec(packages, "--help")
    assert "plugin lucky" in augrec(packages, "doctor", "--json", codes=(0, 1))  # 1 where a machine lacks something


@pytest.mark.parametrize("asked", ["augrec.train(Dataset.from_arrays(1, 1, pairs, none, none), 'unheard')",
                                   "print(augrec.recommenders())"])  # fmt: skip
def test_a_notebook_knows_packages_whatever_it_asks_first(tmp_path: Path, asked: str) -> None:
    path = os.pathsep.join([str(write_package(tmp_path / "packages")), str(ROOT)])
    script = (
        "import numpy as np, augrec\nfrom augrec import Dataset\n"
        f"pairs, none = np.zeros((1, 2), int), np.zeros((0, 2), int)\n{asked}\n"
    )
    ended = subprocess.run(
        [sys.executable, "-P", "-c", script], env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, check=False, timeout=patience(100),
    )  # fmt: skip
    assert "lucky" in ended.stdout + ended.stderr.partition("known: ")[2]


@pytest.fixture
def fresh() -> Iterator[None]:
    load_plugins.cache_clear()
    yield
    load_plugins.cache_clear()


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("no_such_module:register", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("broken:nothing", "AttributeError"),
        ("broken:register", "ValueError: there is a metric called 'recall' already"),
    ],
)
def test_a_package_that_cannot_be_loaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: None, entry: str, problem: str
) -> None:
    metric = "from augrec.artefacts.metrics import register_metric"
    (tmp_path / "broken.py").write_text(f"{metric}\ndef register():\n    register_metric('recall', at_k=True)\n")
    info = tmp_path / "broken-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text(f"[{plugins.GROUP}]\nbad = {entry}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"the plugin 'bad' of broken 2\.0 cannot be loaded") as error:
        load_plugins()
    assert problem in error.value.what
    assert error.value.where == entry
    assert "mend or uninstall" in (error.value.remedy or "")


def test_the_model_of_the_documentation_is_trained_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    files = re.findall(r"```python\n# (lucky/\w+\.py)\n(.*?)```", text, flags=re.DOTALL)
    assert [name for name, _ in files] == ["lucky/augrec.py", "lucky/options.py", "lucky/model.py"]
    (tmp_path / "lucky").mkdir()
    (tmp_path / "lucky" / "__init__.py").touch()
    for name, code in files:
        (tmp_path / name).write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    added: list[Family] = []
    with monkeypatch.context() as patch:
        patch.setattr(FAMILIES, "register", added.append)
        importlib.import_module("lucky.augrec").register()
    clicks = pd.DataFrame(
        [(f"u{u}", f"i{(u % 4) + 4 * k}") for u in range(40) for k in range(6)], columns=["user", "item"]
    )
    data = augrec_api.prepare(clicks, user="user", item="item")
    with FAMILIES.including(*added):
        model = augrec_api.train(data, "lucky", dim=8, seeds=1, training={"epochs": 15, "batch_size": 16, "lr": 0.05})
        found = augrec_api.evaluate(model, cutoffs=(4,))
    assert min(one.mean["recall@4"] for one in found.by_seed.values()) > 0.6, "by chance it is 0.2"
