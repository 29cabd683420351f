"""GGUF weights, converted once into a folder that vLLM and transformers load.

vLLM reads GGUF through a path of its own that not every build has. transformers reads the file into float32; saved as
bfloat16 safetensors it is an ordinary model. What the quantisation lost stays lost: the answers are those of the
quantised weights.

transformers fills what a file lacks with random numbers and goes on, so a conversion counts only if every parameter
came from the file. The folder's parent names the versions that converted: another version converts for itself.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import struct
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augrec.artefacts.confinement import confined
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import digest, write_json
from augrec.artefacts.locks import hold
from augrec.artefacts.parameters import faults, read_parameters
from augrec.artefacts.versions import installed_version, minor_version
from augrec.pipeline.weights.folders import SOURCE_FILE, missing_parts
from augrec.pipeline.weights.gguf_files import check_is_model, check_whole, join, model_stem, parts_of, read_header
from augrec.pipeline.weights.hashes import HashCache
from augrec.pipeline.weights.tensor_files import is_pointer, pointer_in_words

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WRITERS = ("torch", "transformers", "gguf", "safetensors")
ROPE_FACTORS = "rope_freqs"
DECISIVE = ("transformers", "gguf", "torch")
"""What a conversion's numbers depend on, by the first two numbers of the version."""


def gguf_sha256(source: Path, hashes: HashCache) -> str:
    """The sha256 of a file; of the parts' hashes where the model was split."""
    parts = parts_of(source)
    return hashes.sha256(source) if len(parts) == 1 else digest([hashes.sha256(part) for part in parts])


def converted(source: Path, models: Path, hashes: HashCache) -> Path:
    """The folder under `models` with the converted weights of `source`; converts when it is not there yet.

    Several processes may ask at once: one converts, the others wait. A killed conversion leaves no half folder.

    Args:
        source: the file, or any part of a split model whose parts lie beside each other.
        models: folder of all conversions.
        hashes: remembered hashes of files.

    Raises:
        DataError: the file is not readable GGUF, its architecture is unknown, it is not whole, or it has no chat
            template.
    """
    sha256 = gguf_sha256(source, hashes)
    folder = _conversion(source, models, sha256)
    place = folder.parent
    if is_whole(folder):
        return folder
    models.mkdir(parents=True, exist_ok=True)
    lock = models / f".{place.name}.{folder.name}.lock"
    with hold(lock, "another process converts these weights", wait=True):
        if is_whole(folder):
            return folder
        # The lock is ours, so whatever lies here was left by a process that died.
        for left in (folder, *place.glob(f".{folder.name}.*.tmp")):
            shutil.rmtree(left, ignore_errors=True)
        print(f"converting {source.name} to safetensors, once, into {folder}", file=sys.stderr, flush=True)
        place.mkdir(exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=place))
        try:
            with _whole_file(source, temporary) as file:
                convert(file, temporary)
            with confined(models):
                write_json(temporary / SOURCE_FILE, _provenance(source, sha256))
            _settle(temporary)
            temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            with contextlib.suppress(OSError):
                place.rmdir()  # it is empty where the conversion failed
    return folder


def converted_before(source: Path, models: Path, hashes: HashCache) -> Path | None:
    """The folder that `converted` would return at once; None where it would convert."""
    folder = _conversion(source, models, gguf_sha256(source, hashes))
    return folder if is_whole(folder) else None


def _conversion(source: Path, models: Path, sha256: str) -> Path:
    """The place of a file's conversion."""
    place = models / "_".join(f"{name}-{minor_version(name)}" for name in DECISIVE)
    return place / f"{model_stem(source)}-{sha256[:12]}"


@contextlib.contextmanager
def _whole_file(source: Path, folder: Path) -> Iterator[Path]:
    """The file itself, or its parts joined in `folder` while the block runs."""
    parts = parts_of(source)
    if len(parts) == 1:
        yield source
        return
    joined = folder / f"{model_stem(source)}.gguf"
    join(parts, joined)
    try:
        yield joined
    finally:
        joined.unlink()


def is_whole(folder: Path) -> bool:
    """Whether the folder holds a conversion that was finished."""
    return (folder / SOURCE_FILE).is_file() and not missing_parts(folder)


def check_readable(source: Path) -> None:
    """Raises DataError where a file, or a part of it, is missing, cut short, no GGUF or no model, or nothing here reads
    it."""
    _require_reader(source)
    headers = []
    for part in parts_of(source):
        try:
            headers.append(read_header(part))
        except _UNREADABLE as error:
            cause = pointer_in_words(part) if is_pointer(part) else error
            remedy = "download it again"
            raise DataError(f"cannot read this GGUF file ({cause})", where=part, remedy=remedy) from error
        check_whole(part, headers[-1])
    check_is_model(source, headers)


def _require_reader(source: Path) -> None:
    if find_spec("gguf") is None:
        raise DataError("GGUF weights need the gguf package", where=source, remedy="python -m pip install 'gguf>=0.17'")


def convert(source: Path, folder: Path) -> None:
    """Writes a GGUF file's weights and tokenizer into a folder, as bfloat16 safetensors.

    Raises:
        DataError: see `converted`.
    """
    _require_reader(source)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = str(source.parent)
    try:
        header = read_header(source)
        check_whole(source, header)
        check_is_model(source, [header])
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=source.name, local_files_only=True)
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                where, gguf_file=source.name, local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
            model, report = loaded
    except _UNREADABLE as error:
        raise DataError(
            f"transformers cannot read this GGUF file ({error})",
            where=source,
            remedy="use a file of an architecture transformers converts, or the model's safetensors folder",
        ) from error
    _refuse(source, faults(report))
    if any(tensor.name.startswith(ROPE_FACTORS) for tensor in header.tensors):
        print(
            f"{source.name} stretches its positions by factors ({ROPE_FACTORS}) that transformers does not read: "
            "what is converted differs from the model, most of all for long prompts; its safetensors folder has them",
            file=sys.stderr,
        )
    if not tokenizer.chat_template:
        raise DataError(
            "the GGUF file has no chat template, so it cannot be prompted with messages",
            where=source,
            remedy="use the instruction-tuned model of the same family",
        )
    _forget_quantisation(model)
    with _quiet():
        model.bfloat16().save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        saved = read_parameters(folder)
    _refuse(source, saved.fault if saved else "")
    missing = missing_parts(folder)
    if not AutoTokenizer.from_pretrained(folder, local_files_only=True).chat_template:
        missing.append("the chat template")
    if missing:
        raise DataError(f"the converted model lacks {', '.join(missing)}", where=source, remedy="update transformers")


def _refuse(source: Path, fault: str) -> None:
    if fault:
        raise DataError(
            f"the GGUF file is not the whole model: {fault}",
            where=source,
            remedy="download it again, or all parts of it; nothing of it was kept",
        )


_UNREADABLE = (
    ValueError,
    OSError,
    KeyError,
    NotImplementedError,
    IndexError,
    OverflowError,
    RuntimeError,
    struct.error,
)


def _forget_quantisation(model: PreTrainedModel) -> None:
    """The weights are plain; a GGUF quantiser left on the model would refuse to save it."""
    model.hf_quantizer = None  # type: ignore[assignment]
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars: one of them obeys transformers' switch, the GGUF reader's only a redirected stderr."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _provenance(source: Path, sha256: str) -> dict[str, object]:
    return {
        "name": source.name,
        "bytes": source.stat().st_size,
        "sha256": sha256,
        "dtype": "bfloat16",
        "versions": {name: installed_version(name) for name in WRITERS},
    }


def _settle(folder: Path) -> None:
    """Files on the disk, and readable by whoever may read an ordinary new file (safetensors writes 0600)."""
    mode = (folder / SOURCE_FILE).stat().st_mode & 0o777
    for path in folder.rglob("*"):
        with path.open("rb") as written:
            os.fsync(written.fileno())
        path.chmod(mode)
    folder.chmod(mode | (mode & 0o444) >> 2)
