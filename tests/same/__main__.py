"""Proves that a change of structure changed no result: the demo's config on small input, before and after.

    python tests/same [REVISION] [--keep FOLDER] [KEY=VALUE ...]

Checks REVISION (HEAD unless given) out into a temporary folder, runs its configs/ml-100k/demo.yaml there and the
working tree's here, both with the real LLM on few users and with few epochs, and compares everything that carries a
result: data set, candidates, records, matrices, metrics per user, and the numbers of the page. Both run in the same
environment on the same machine, so values are compared for equality, not for likeness. Exit status 1 when anything
differs that `intended.toml` does not explain.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from run_folders import Difference, differences

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CONFIG = "configs/ml-100k/demo.yaml"
SMALL = ("dataset.sample_users=40", "training.epochs=6", "seeds=[2,3]")
"""Overrides that every revision understands and that keep a run to about a minute."""


def main(words: list[str]) -> int:
    """Runs both sides and prints what differs; the exit status."""
    parser = argparse.ArgumentParser(prog="python tests/same", description=__doc__, add_help=True)
    parser.add_argument("revision", nargs="?", default="HEAD", help="what to compare the working tree with")
    parser.add_argument("--keep", type=Path, help="leave both run folders here")
    parser.add_argument("overrides", nargs="*", help="further overrides of the config, as in `augrec run`")
    options = parser.parse_args(words)
    if "=" in options.revision:
        options.overrides, options.revision = [options.revision, *options.overrides], "HEAD"
    with tempfile.TemporaryDirectory(prefix="augrec-same-") as scratch:
        folder = options.keep.resolve() if options.keep else Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        checkout = Path(scratch) / "checkout"
        _git("worktree", "add", "--quiet", "--detach", str(checkout), options.revision)
        try:
            before = _run(checkout, folder / "before", options.overrides)
        finally:
            _git("worktree", "remove", "--force", str(checkout))
        after = _run(ROOT, folder / "after", options.overrides)
        return _say(options.revision, differences(before, after))


def _run(tree: Path, out: Path, overrides: list[str]) -> Path:
    """Runs the demo's config of a source tree; returns the run folder."""
    print(f"same: running {tree}", flush=True)
    module = "augrec" if (tree / "augrec" / "__main__.py").exists() else "pipeline.cli"
    # The number of threads decides the last bits of a text and a vector, and follows the free cores unless it is set.
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", module, "run", str(tree / CONFIG), *SMALL, *overrides, f"output={out}"]
    subprocess.run(command, cwd=tree, env=environment, check=True)
    return out


def _git(*words: str) -> None:
    subprocess.run(["git", *words], cwd=ROOT, check=True)


def _say(revision: str, found: list[Difference]) -> int:
    intended = tomllib.loads((HERE / "intended.toml").read_text(encoding="utf-8")).get("difference", [])
    unexplained = 0
    for difference in found:
        reason = next((entry["reason"] for entry in intended if difference.within(entry["place"])), None)
        unexplained += reason is None
        print(f"{'intended' if reason else 'DIFFERS '}  {difference}" + (f"  ({reason})" if reason else ""))
    print(f"same: {len(found)} differences from {revision}, {unexplained} of them not intended")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
