"""Augrec: LLM augmentation for recommenders, offline, on open weights, with controls and tests built in.

What stands here is the public Python API. A name is loaded when it is used first, so that importing the package costs
next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from augrec.artefacts.errors import AugrecError as AugrecError
    from augrec.pipeline.config import Config as Config
    from augrec.pipeline.config import read_config as read_config
    from recsys.data.dataset import Dataset as Dataset

    __version__: str

_HOMES = {
    "AugrecError": "augrec.artefacts.errors",
    "Config": "augrec.pipeline.config",
    "Dataset": "recsys.data.dataset",
    "read_config": "augrec.pipeline.config",
}
__all__ = ["AugrecError", "Config", "Dataset", "__version__", "read_config"]


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
