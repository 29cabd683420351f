"""The config that lies in a run folder, as the audit reads it: plain values, by code of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from augrec.artefacts.errors import DataError
from augrec.artefacts.run_folder import RunFolder


def saved_config(folder: Path) -> dict[str, Any]:
    """What `config.yaml` of a run folder says; {} where there is none, as in what was imported, or no section in it.

    Raises:
        DataError: it is no YAML: nobody could say what has to be checked.
    """
    path = RunFolder(folder).config
    if not path.exists():
        return {}
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError(
            f"the run's config cannot be read: {' '.join(str(error).split())}",
            where=path,
            remedy="`augrec run` with the config that made the run writes it again",
        ) from None
    return config if isinstance(config, dict) else {}
