"""The Python environment of instruction tuning: where it is, and whether it is whole.

trl, peft and the transformers that they go with cannot be installed beside vLLM, so they have an environment of their
own (`make tune-env`). Nothing is imported or started here to look at it: installed packages have folders that say so.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from augrec.artefacts.errors import UsageError

VARIABLE = "AUGREC_TUNE_PYTHON"
FOLDER = ".venv-tune"
PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "safetensors")
REMEDY = f"make tune-env builds {FOLDER} (1.5 GB); one that lies elsewhere: tune.python=PATH, or {VARIABLE}=PATH"


@dataclass(frozen=True)
class TuneEnvironment:
    """An interpreter with what the trainer imports.

    Attributes:
        python: the interpreter.
        versions: of `PACKAGES`.
    """

    python: Path
    versions: dict[str, str]


def tune_environment(python: Path | None = None) -> TuneEnvironment:
    """The environment that the trainer runs in.

    Args:
        python: the interpreter; None: $AUGREC_TUNE_PYTHON, else `.venv-tune` here or beside this one's environment.

    Raises:
        UsageError: there is none, or it lacks packages.
    """
    found = python or _by_variable() or _beside()
    if found is None:
        raise UsageError("the environment of instruction tuning is not there", where=FOLDER, remedy=REMEDY)
    if not os.access(found, os.X_OK) or not found.is_file():
        raise UsageError("there is no Python interpreter for instruction tuning", where=found, remedy=REMEDY)
    versions = _versions(found)
    missing = [name for name in PACKAGES if name not in versions]
    if missing:
        raise UsageError(
            f"the environment of instruction tuning lacks {', '.join(missing)}", where=found, remedy=REMEDY
        )
    return TuneEnvironment(found, versions)


def _by_variable() -> Path | None:
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


def _beside() -> Path | None:
    """Here, or beside the environment that runs: a command is not always given in the project's folder."""
    places = (Path(FOLDER), Path(sys.prefix).parent / FOLDER)
    return next((place / "bin" / "python" for place in places if (place / "bin" / "python").exists()), None)


def _versions(python: Path) -> dict[str, str]:
    """Package -> version, by the names of the folders that pip leaves for each."""
    metadata = re.compile(r"(?P<name>[\w.]+)-(?P<version>[^-]+)\.dist-info")
    root = python.absolute().parents[1]  # not resolved: an environment's interpreter is a link to the system's
    named = (metadata.fullmatch(path.name) for path in root.glob("lib*/python3*/site-packages/*.dist-info"))
    return {match["name"].lower(): match["version"] for match in named if match and match["name"].lower() in PACKAGES}
