"""The whole tool on a module of three lines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = "LEAST = 1\n\n\ndef within(n):\n    return n >= LEAST\n\n\ndef other(n):\n    return n + 1\n"
TESTS = "from toy.bounds import within\n\n\ndef test_it():\n    assert within(1) and not within(0)\n"
TARGETS = '[[target]]\nmodules = ["toy.bounds"]\ntests = ["tests/test_bounds.py"]\n'
REASON = """
[[mutant]]
module = "toy.bounds"
function = "other"
before = "return n + 1"
after = "return n - 1"
reason = "nobody asks"
"""
SCRIPT = """
import sys
from pathlib import Path
import mutant_runner as runner
runner.HERE = runner.ROOT = Path.cwd()
runner.PACKAGES, runner.PRELOADED = ("toy",), ()
sys.exit(runner.main(["--jobs", "2", *sys.argv[1:]]))
"""
ORDERED = "said = []\n\n\ndef test_a():\n    said.append(1)\n\n\ndef test_b():\n    assert said\n    within(1)\n"


def run(folder: Path, tests: str, *arguments: str, targets: str = TARGETS) -> subprocess.CompletedProcess[str]:
    files = {"toy/__init__.py": "", "toy/bounds.py": SOURCE, "tests/test_bounds.py": tests}
    files |= {"targets.toml": targets, "equivalent.toml": REASON}
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    paths = {"PYTHONPATH": str(Path(__file__).parent), "XDG_CACHE_HOME": str(folder / "cache")}
    command = [sys.executable, "-c", SCRIPT, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=paths)


@pytest.mark.slow
def test_faults_are_noticed_in_forks_and_by_imports_and_survivors_are_shown(tmp_path: Path) -> None:
    found = run(tmp_path, TESTS)
    assert found.stdout.splitlines() == [
        "survived: toy.bounds:9 other",
        "    - return n + 1",
        "    + return n + 2",
        "toy.bounds: 2 noticed, 0 endless, 1 survived, 1 equivalent",
    ]
    assert found.returncode == 1
    assert len(list((tmp_path / "cache" / "augrec-mutants").iterdir())) == 1


@pytest.mark.slow
def test_tests_that_pass_in_their_own_order_alone_judge_nothing(tmp_path: Path) -> None:
    found = run(tmp_path, TESTS.splitlines()[0] + "\n" + ORDERED)
    assert found.returncode == 1
    assert "pass in their own order alone" in found.stderr
    assert "noticed" not in found.stdout


@pytest.mark.slow
def test_a_module_that_is_named_is_judged_as_far_as_its_target_goes(tmp_path: Path) -> None:
    found = run(tmp_path, TESTS, "toy.bounds", targets=TARGETS + 'functions = ["within"]\n')
    assert found.stdout.splitlines() == ["toy.bounds: 1 noticed, 0 endless, 0 survived, 0 equivalent"]
    assert found.returncode == 0
    found = run(tmp_path, TESTS, "toy.bound")
    assert found.returncode == 2
    assert "targets.toml has no toy.bound" in found.stderr
