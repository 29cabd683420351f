"""The identity of the code behind a result: what a fingerprint holds of its own implementation."""

from __future__ import annotations

from functools import cache

from augrec.artefacts.files import digest, sha256_file
from augrec.pipeline.identity.import_closure import import_closure


@cache
def code_identity(entries: tuple[str, ...]) -> str:
    """The sha256 over the meaning of every module that the entries can reach by imports.

    Comments, docstrings and layout do not count: a stage is run again because its code changed, not because its
    explanation did. Data files such as templates count byte for byte.

    Args:
        entries: dotted names of modules, e.g. ("augrec.pipeline.stages.prepare", "recsys.data.readers.recbole").
            Modules behind a registry are named here (see `augrec.pipeline.identity.import_closure`).
    """
    closure = import_closure(entries)
    modules = {name: source.meaning for name, source in closure.modules.items()}
    return digest({"modules": modules, "data": {name: sha256_file(path) for name, path in closure.data.items()}})
