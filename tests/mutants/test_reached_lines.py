"""In which order tests are tried for a fault."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mutant_runner import drawn
from mutations import mutants
from reached_lines import Reached, kept_at

FILE = Path("module.py")


def test_tests_that_reach_the_line_come_first_by_file_and_speed_and_none_is_left_out() -> None:
    seconds = {"a.py::slow": 9.0, "a.py::quick": 2.0, "b.py::far": 0.1, "b.py::near": 1.0, "b.py::nearer": 0.5}
    near = ["a.py::slow", "a.py::quick", "b.py::near", "b.py::nearer"]
    reached = Reached(seconds, {str(FILE): {"10": ["b.py::far"], "12": near, "20": []}})
    tests = [*seconds, "b.py::written since"]
    order = [tests[at] for at in reached.ordered(tests, FILE, 13)]
    assert order == ["b.py::written since", "b.py::nearer", "b.py::near", "a.py::quick", "a.py::slow", "b.py::far"]


def test_what_a_shared_fixture_runs_is_reached_by_all_who_ask_for_it(tmp_path: Path) -> None:
    module = tmp_path / "looked_at.py"
    module.write_text("def f():\n    return 1\n\n\ndef g():\n    return 2\n")
    (tmp_path / "loaded_late.py").write_text("def h():\n    return 3\n\n\nh()\n")
    (tmp_path / "test_it.py").write_text(
        "import looked_at, pytest\n\n@pytest.fixture(scope='module')\ndef shared():\n    return looked_at.f()\n\n"
        "def test_a(shared):\n    looked_at.g()\n\ndef test_b(shared):\n    pass\n\n"
        "def test_c():\n    import loaded_late\n"
    )
    kept = tmp_path / "kept.json"
    script = (
        "import sys; from pathlib import Path; from reached_lines import record;"
        "arguments = ['-q', '-p', 'no:cacheprovider'];"
        f"files = [Path({str(module)!r}), Path({str(tmp_path / 'loaded_late.py')!r})];"
        f"sys.exit(record(['test_it.py'], arguments, files, Path({str(kept)!r})))"
    )
    path = f"{Path(__file__).parent}:{tmp_path}"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, env={"PYTHONPATH": path})
    record = json.loads(kept.read_text())
    assert record["tests"][str(module)]["2"] == ["test_it.py::test_a", "test_it.py::test_b"]
    assert record["tests"][str(module)]["6"] == ["test_it.py::test_a"]
    assert record["imported"][str(module)] == [1, 5]
    assert record["imported"][str(tmp_path / "loaded_late.py")] == [1, 2, 5], "its import may have run any of them"
    assert "loaded_late" in record["loaded"]
    assert "looked_at" not in record["loaded"]


@pytest.mark.parametrize("changed", ["package/module.py", "tests/test_it.py", "tests/kit/toys.py"])
def test_a_record_is_of_these_packages_and_these_tests(tmp_path: Path, changed: str) -> None:
    for name in ("package/module.py", "tests/test_it.py", "tests/kit/toys.py", "tests/test_other.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a = 1\n")

    def place() -> Path:
        return kept_at(tmp_path, ["package"], ["package.module"], ["tests/test_it.py"])

    before = place()
    (tmp_path / "tests/test_other.py").write_text("a = 2\n")
    assert place() == before
    (tmp_path / changed).write_text("a = 2\n")
    assert place() != before


def test_a_sample_takes_as_many_of_every_module_and_none_whose_reason_is_known() -> None:
    planted = [*mutants("long", "a = 1\n" * 9), *mutants("short", "a = 1\nb = 2\n")]
    sample = drawn(planted, 3, 7, {planted[-1].place})
    assert [mutant.module for mutant in sample] == ["long", "long", "long", "short"]
    assert sample == drawn(planted, 3, 7, {planted[-1].place}) != drawn(planted, 3, 8, {planted[-1].place})
