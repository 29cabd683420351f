"""What the keys of a source's questions follow from, as one hash: while it is the same, so are the keys."""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

import augment
from augment.catalog import Catalog
from augment.hashes import SCHEME
from augment.options import GenerationOptions, SourceOptions
from augment.store.answers import Answers
from augment.store.made_by import Maker
from augment.tasks import Task
from augrec import artefacts
from augrec.artefacts.files import digest, sha256_file, sha256_files

LIBRARIES = ("jinja2", "pydantic", "numpy", "scikit-learn")
"""What renders prompts, writes grammars, and weighs terms."""


def question_identity(
    catalog: Catalog,
    source: SourceOptions,
    generation: GenerationOptions,
    tasks: Sequence[Task],
    maker: Maker,
    seed: int,
    answers: Mapping[str, Answers] = MappingProxyType({}),
) -> str | None:
    """One hash of everything that the keys of a source's questions follow from; None for data without files.

    Those that quote `answers` follow from these too.

    The maker's part is its identity, its context, and the hashes it says of its tokenizer.
    """
    if catalog.identity is None:
        return None
    text, templates = catalog.presentation.text, generation.templates
    hashes = {name: value for name, value in maker.describe().items() if name.endswith("_sha256")}
    return digest(
        {
            "scheme": SCHEME,
            "code": _code(),
            "data": catalog.identity,
            "presentation": [text.model_dump(mode="json") if text else None, catalog.presentation.titles],
            "templates": templates
            and sha256_files(templates, (path for path in templates.rglob("*") if path.is_file())),
            "tasks": {task.name: [task.options.model_dump(mode="json"), _own_code(task)] for task in tasks},
            "answers": {task: found.identity for task, found in answers.items()},
            "history": generation.max_history,
            "users": [source.users, source.users_by],
            "engine": [maker.identity, maker.context, hashes],
            "options": source.engine.model_dump(mode="json"),
            "files": source.engine.file_hashes(),
            "seed": seed,
            "shards": generation.shards,
        }
    )


def _own_code(task: Task) -> str | None:
    """The file of a task from outside this package, byte for byte; None for ours."""
    module = type(task).__module__
    path = None if module.startswith("augment.") else getattr(sys.modules.get(module), "__file__", None)
    return sha256_file(Path(path)) if path else None


@cache
def _code() -> str:
    """The code and templates of this package and of the one below it, byte for byte, and what they run on."""
    total = hashlib.sha256()
    for package in (artefacts, augment):
        for folder in map(Path, package.__path__):
            for path in sorted(
                path for path in folder.rglob("*") if path.suffix[1:] in ("py", "j2", "toml")
            ):  # no file is named by these
                total.update(path.read_bytes())
    return f"{total.hexdigest()} {platform.python_version()} {[version(name) for name in LIBRARIES]}"
