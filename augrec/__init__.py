"""Augrec: LLM augmentation for recommenders, offline, on open weights, with controls and tests built in.

What stands here is the public Python API, see docs/python.md. A name is loaded when it is used first, so that importing
the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from augrec.api.data import prepare as prepare
    from augrec.api.judging import compare as compare
    from augrec.api.judging import evaluate as evaluate
    from augrec.api.lists import recommend as recommend
    from augrec.api.runs import load_run as load_run
    from augrec.api.texts import embed as embed
    from augrec.api.training import recommenders as recommenders
    from augrec.api.training import train as train
    from augrec.artefacts.errors import AugrecError as AugrecError
    from augrec.artefacts.records import Records as Records
    from augrec.pipeline.config.run_config import Config as Config
    from augrec.pipeline.config.run_config import read_config as read_config
    from recsys.data.dataset import Dataset as Dataset

    __version__: str

_HOMES = {
    "AugrecError": "augrec.artefacts.errors",
    "Config": "augrec.pipeline.config.run_config",
    "Dataset": "recsys.data.dataset",
    "Records": "augrec.artefacts.records",
    "compare": "augrec.api.judging",
    "embed": "augrec.api.texts",
    "evaluate": "augrec.api.judging",
    "load_run": "augrec.api.runs",
    "prepare": "augrec.api.data",
    "read_config": "augrec.pipeline.config.run_config",
    "recommend": "augrec.api.lists",
    "recommenders": "augrec.api.training",
    "train": "augrec.api.training",
}
__all__ = [
    "AugrecError",
    "Config",
    "Dataset",
    "Records",
    "__version__",
    "compare",
    "embed",
    "evaluate",
    "load_run",
    "prepare",
    "read_config",
    "recommend",
    "recommenders",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        try:
            return version("augrec")
        except PackageNotFoundError:  # a checkout on the path that was never installed
            return "0+unknown"
    if name not in _HOMES:
        raise AttributeError(f"module 'augrec' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, "__version__"})
