"""The identity of code follows its meaning and its imports, not its layout and not its neighbours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path

import pytest

from augment.engines.registry import ENGINES
from augrec.artefacts.confinement import confined
from augrec.pipeline.identity import import_closure
from augrec.pipeline.identity.code_identity import code_identity
from tests.kit.toy_config import toy_config, write_config

pytestmark = pytest.mark.slow

SOURCE = '"""Doc."""\n\n\ndef double(x):\n    """Twice."""\n    return 2 * x  # a comment\n'
FILES = {
    "__init__.py": "",
    "entry.py": (
        "from typing import TYPE_CHECKING\n"
        "import someidentitypackage.plain\n"
        "from someidentitypackage import submodule\n"
        "from .relative import value\n"
        "from .sub import deep\n"
        "if TYPE_CHECKING:\n    import someidentitypackage.typed\nelse:\n    from . import untyped\n"
        "def late():\n    from someidentitypackage.late import go\n    return go\n"
        'PAGE = "page.html.j2"\n'
    ),
    "plain.py": SOURCE,
    "submodule.py": "from importlib import import_module\nx = import_module('someidentitypackage.dynamic')\n",
    "dynamic.py": "x = 1\n",
    "relative.py": "from . import second as value\n",
    "second.py": "x = 1\n",
    "untyped.py": "x = 1\n",
    "late.py": "def go(): return 1\n",
    "typed.py": "x = 1\n",
    "stranger.py": "x = 1\n",
    "sub/__init__.py": "x = 1\n",
    "sub/deep.py": "from ..third import x\n",
    "sub/stranger.py": "x = 1\n",
    "third.py": "x = 1\n",
    "page.html.j2": "{% include 'part.j2' %}",
    "part.j2": "Hello",
    "templates/other.j2": "Hello",
}
REACHED = sorted(set(FILES) - {"typed.py", "stranger.py", "sub/stranger.py", "templates/other.j2"})


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "someidentitypackage"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("AUGREC_CACHE", str(tmp_path / "cache"))
    return folder


def identity(*entries: str) -> str:
    """As another process computes it: nothing is remembered but what lies in the cache folder."""
    import_closure.forget()
    code_identity.cache_clear()
    return code_identity(entries or ("someidentitypackage.entry",))


def test_comments_docstrings_and_layout_do_not_count(package: Path) -> None:
    before = identity()
    (package / "plain.py").write_text("def double( x ):\n\n    return (2 * x)\n")
    assert identity() == before


@pytest.mark.parametrize("name", REACHED)
def test_every_module_and_template_that_is_reached_counts(package: Path, name: str) -> None:
    before = identity()
    path = package / name
    path.write_text(path.read_text() + ("ADDED = 1\n" if path.suffix == ".py" else "more"))
    assert identity() != before


@pytest.mark.parametrize("name", [*sorted(set(FILES) - set(REACHED)), "added.py", "sub/added.py", "added.j2"])
def test_what_is_not_reached_does_not_count(package: Path, name: str) -> None:
    before = identity()
    (package / name).write_text("ADDED = 1\n")
    assert identity() == before


def test_a_template_named_by_its_suffix_alone_counts(package: Path) -> None:
    (package / "entry.py").write_text("def read(name):\n    return open(f'{name}.j2')\n")
    before = identity()
    (package / "templates" / "other.j2").write_text("Bye")
    assert identity() != before


def test_a_lost_or_damaged_memory_of_parsed_files_changes_nothing(package: Path, tmp_path: Path) -> None:
    before = identity()
    memory = tmp_path / "cache" / "code.json"
    assert memory.exists()
    for damage in ("", "[1]", '{"a": 1}', "{"):
        memory.write_text(damage)
        assert identity() == before


def test_parsed_files_are_remembered_where_a_run_may_write_in_its_own_folder_only(
    package: Path, tmp_path: Path
) -> None:
    with confined(tmp_path / "run"):
        identity()
    assert (tmp_path / "cache" / "code.json").exists()


def test_a_package_that_is_not_on_the_path_is_found_as_an_import_finds_it(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after `pip install -e`, which may install a finder instead of a path."""
    on_the_path = code_identity(("someidentitypackage.entry",))

    class Editable(MetaPathFinder):
        def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
            place = package / "__init__.py"
            return spec_from_file_location(name, place) if name == package.name else None

    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(package.parent)])
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Editable()])
    import_closure.forget()
    code_identity.cache_clear()
    assert code_identity(("someidentitypackage.entry",)) == on_the_path


def test_a_missing_module_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError):
        code_identity(("nosuchpackageanywhere",))
    with pytest.raises(ModuleNotFoundError):
        code_identity(("pipeline.nosuchmodule",))


IDENTITIES = """
import json, sys
from pathlib import Path
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.stages import chain
from augrec.pipeline.stages.base import Run
from augrec.pipeline.identity.code_identity import code_identity
from augrec.pipeline.training.variant_training import code_of

config = read_config(Path(sys.argv[1]))
run = Run(config)
found = {f"stage {stage.name}": code_identity(stage.code(run)) for stage in chain(config)}
found |= {name: code_identity(code_of(config, variant)) for name, variant in config.variants.items()}
print(json.dumps(found))
"""
SECTIONS = """
generation: {sources: {rule: {engine: {kind: heuristic}, tasks: [edges]}}}
embedding: {device: cpu}
models:
  light: {family: lightgcn}
  both: {family: blend, members: {a: {family: ease}, b: {family: lightgcn}}}
variants: {light: {model: light, source: rule}, both: {model: both}}
"""


Edits = Mapping[str, tuple[str, str] | str]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project's source that a test may edit; it puts back what it changed."""
    import augrec

    root, copy = Path(augrec.__file__).parent.parent, tmp_path_factory.mktemp("checkout")
    for package in ("augrec", "augment", "embed", "recsys"):
        shutil.copytree(root / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    write_config(copy / "toy.yaml", toy_config("nowhere", SECTIONS))
    return copy


def changed_by(checkout: Path, edits: Edits) -> set[str]:
    """Which identities another source text gives: edits are (old, new) in a file, or a new file's text."""
    before = untouched(checkout)
    kept = {name: (checkout / name).read_text() for name in edits if (checkout / name).exists()}
    try:
        for name, edit in edits.items():
            if isinstance(edit, tuple):
                assert edit[0] in kept[name], (name, edit)
                (checkout / name).write_text(kept[name].replace(edit[0], edit[1], 1))
            else:
                (checkout / name).write_text(edit)
        after = identities(checkout)
    finally:
        for name in edits:
            (checkout / name).write_text(kept[name]) if name in kept else (checkout / name).unlink()
    return {name for name in before if before[name] != after[name]}


@cache
def untouched(checkout: Path) -> dict[str, str]:
    """The identities of the source as it was copied."""
    return identities(checkout)


def more(checkout: Path, name: str) -> Edits:
    """An edit that adds a statement to a file."""
    return {name: (checkout / name).read_text() + "\nADDED = 1\n"}


def identities(checkout: Path) -> dict[str, str]:
    environment = {**os.environ, "PYTHONPATH": str(checkout), "AUGREC_CACHE": str(checkout / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", IDENTITIES, str(checkout / "toy.yaml")],
        capture_output=True, text=True, env=environment, cwd=checkout,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


TRAININGS = {"popular", "light", "both"}


def test_every_engine_has_its_module_named() -> None:

    assert {"vllm", "openai", "heuristic", "replay"} <= set(ENGINES)
    assert all(find_spec(kind.module) for kind in ENGINES.values())


def test_what_makes_triplets_and_weights_counts_for_every_training(checkout: Path) -> None:
    assert (
        changed_by(checkout, {"augrec/pipeline/side/edges.py": ("        return 1.0", "        return 0.5")})
        >= TRAININGS
    )
    assert changed_by(checkout, more(checkout, "augment/answers/scoring.py")) >= TRAININGS
    assert changed_by(checkout, more(checkout, "recsys/models/parts/side_augmentation.py")) >= TRAININGS


def test_a_model_of_one_variant_counts_for_that_variant(checkout: Path) -> None:
    assert changed_by(checkout, more(checkout, "recsys/models/lightgcn.py")) == {"light", "both", "stage train"}
    assert changed_by(checkout, more(checkout, "recsys/models/ease.py")) == {"both", "stage train"}


def test_a_model_that_is_added_counts_for_no_other(checkout: Path) -> None:
    registry = "recsys/models/registry.py"
    edits = {
        "recsys/models/added.py": "class Added: pass\n",
        "recsys/models/options/added.py": (
            "from typing import Literal\nfrom recsys.models.options.base import FamilyOptions\n\n\n"
            'class AddedOptions(FamilyOptions):\n    family: Literal["added"] = "added"\n'
        ),
        registry: (
            "SHIPPED = (\n",
            "from recsys.models.options.added import AddedOptions\n\nSHIPPED = (\n"
            '    Family(AddedOptions, "recsys.models.added:Added", "general", "Added", "nobody"),\n',
        ),
    }
    assert changed_by(checkout, edits) == set()


def test_a_reader_that_is_added_counts_for_no_other(checkout: Path) -> None:
    edits = {
        "recsys/data/readers/added.py": "def read(source, folder): ...\n",
        "recsys/data/formats.py": (
            'READERS.register(DataFormat("augrec"',
            'READERS.register(DataFormat("added", "recsys.data.readers.added:read"))\n'
            'READERS.register(DataFormat("augrec"',
        ),
    }
    assert changed_by(checkout, edits) == set()


def test_a_task_that_is_added_counts_for_no_other(checkout: Path) -> None:
    edits = {
        "augment/prompts/added.j2": "Hello",
        "augment/tasks/added.py": (
            "from augment.tasks.base import TaskOptions\n\n\nclass Added:\n"
            '    name, about, Options, template = "added", "user", TaskOptions, "added.j2"\n'
        ),
        "augment/tasks/__init__.py": (
            "for _task in (",
            "from augment.tasks.added import Added\n\nfor _task in (Added, ",
        ),
    }
    assert changed_by(checkout, {**edits, **more(checkout, "augment/tasks/user_profile.py")}) == set()
    assert changed_by(checkout, more(checkout, "augment/tasks/edges.py")) >= {"stage augment"}


def test_a_page_of_a_comparison_counts_for_no_stage(checkout: Path) -> None:
    edits = {"augrec/report/pages/run/added.html.j2": "Hello"}
    assert changed_by(checkout, {**edits, **more(checkout, "augrec/report/pages/comparison/page.py")}) == set()
    assert changed_by(checkout, {"augrec/report/render/report.css": "body {}"}) == {"stage report"}


def test_comments_in_any_module_count_for_nothing(checkout: Path) -> None:
    edits: Edits = {
        name: (checkout / name).read_text() + "\n# a comment\n"
        for name in (
            "recsys/training/train.py",
            "augrec/pipeline/side/side_information.py",
            "augment/runner.py",
            "augrec/artefacts/files.py",
        )
    }
    assert changed_by(checkout, edits) == set()


def test_a_config_that_is_offered_to_users_counts_for_nothing(checkout: Path) -> None:
    assert changed_by(checkout, {"augrec/shipped/configs/ml-100k/demo.yaml": ("seed: ", "batch: 1\nseed: ")}) == set()
