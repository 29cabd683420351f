"""Whether a folder holds a whole model, and one hash over what decides its output."""

from __future__ import annotations

import re
from pathlib import Path

from augrec.artefacts.files import digest, parse_json
from augrec.pipeline.weights.hashes import HashCache
from augrec.pipeline.weights.tensor_files import is_pointer, pointer_in_words, shard_faults
from augrec.pipeline.weights.tokenizer_files import tokenizer_faults

SHARD = re.compile(r"(?P<stem>.+)-\d{5}-of-(?P<count>\d{5})")
MOST_SHARDS = 1000
CONFIG_SUFFIXES = (".json", ".txt", ".model", ".jinja")
# Exports of the same weights for other runtimes, and what tools leave behind.
OTHER_FOLDERS = ("onnx", "openvino", "original", "coreml", "tf")
SOURCE_FILE = "source.json"
ENDING_AS_JSON = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json"),
    *("tekken.json", "generation_config.json", "chat_template.json"),
)
"""Objects that are loaded with a model; one may be as large as weights are."""
SENTENCE_FILES = ("config_sentence_transformers.json", "sentence_bert_config.json", "1_Pooling")
"""What sentence-transformers writes beside `modules.json`; without that it makes a model of its own (mean pooling)."""


def missing_parts(folder: Path) -> list[str]:
    """What a model folder lacks, in words; empty when it can be loaded.

    Understands transformers folders and sentence-transformers folders (`modules.json`).
    """
    root, needs_config, missing = folder, True, _half_there(folder)
    if (folder / "modules.json").is_file():
        modules = _json(folder / "modules.json")
        if not isinstance(modules, list) or not modules or not all(map(_is_module, modules)):
            return ["a readable modules.json"]
        root = folder / modules[0]["path"]
        needs_config = "Transformer" in modules[0]["type"].rpartition(".")[2]
        pooling = [module["path"] for module in modules if module["type"].endswith("Pooling")]
        missing += [f"{path}/config.json" for path in pooling if not (folder / path / "config.json").is_file()]
        dense = [module["path"] for module in modules if module["type"].endswith("Dense")]
        missing += [f"weights in {path}" for path in dense if _missing_weights(folder / path)]
    elif any((folder / name).exists() for name in SENTENCE_FILES):
        missing.append("modules.json, which says how its vectors are made")
    if needs_config and not isinstance(_json(root / "config.json"), dict):
        missing.append("a readable config.json" if (root / "config.json").is_file() else "config.json")
    missing += _missing_weights(root)
    present = [root / name for name in ENDING_AS_JSON if (root / name).is_file()]
    missing += [fault for path in present if (fault := _json_fault(path))]
    return missing + tokenizer_faults(root)


def _is_module(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(key), str) for key in ("path", "type"))


def _missing_weights(root: Path) -> list[str]:
    for index in sorted(root.glob("*.safetensors.index.json")) or sorted(root.glob("*.bin.index.json")):
        content = _json(index)
        weights = content.get("weight_map") if isinstance(content, dict) else None
        if not isinstance(weights, dict) or not weights or not all(isinstance(name, str) for name in weights.values()):
            return [f"a readable {index.name}"]
        shards = sorted(set(weights.values()))
        absent = [shard for shard in shards if not _holds_bytes(root / shard)]
        return absent or [fault for shard in shards if (fault := shard_faults(root / shard, weights))]
    files = sorted(root.glob("*.safetensors")) or sorted(root.glob("pytorch_model*.bin"))
    files = [path for path in files if _holds_bytes(path)]
    if not files:
        return ["weights (*.safetensors)"]
    return _absent_siblings(files) or [fault for path in files if (fault := shard_faults(path))]


def _absent_siblings(files: list[Path]) -> list[str]:
    """Shards that the names of the others promise, where no index lists them."""
    absent = []
    for stem, count, suffix in {
        (named["stem"], int(named["count"]), path.suffix) for path in files if (named := SHARD.fullmatch(path.stem))
    }:
        names = [f"{stem}-{part:05d}-of-{count:05d}{suffix}" for part in range(1, min(count, MOST_SHARDS) + 1)]
        absent += [name for name in names if name not in {path.name for path in files}]
    return sorted(absent)


def _half_there(folder: Path) -> list[str]:
    """Links to files that are not there, and downloads that were not finished."""
    broken = [path for path in folder.rglob("*") if path.is_symlink() and not path.exists()]
    broken = [path for path in broken if _counts(path.relative_to(folder))]
    unfinished = sorted(folder.glob(".cache/huggingface/download/**/*.incomplete"))
    return [f"{path.relative_to(folder)} (a link to a file that is not there)" for path in sorted(broken)] + [
        f"the rest of a download ({path.name})" for path in unfinished
    ]


def _holds_bytes(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _json_fault(path: Path) -> str:
    """What is wrong with a file that should end as an object does; it is not parsed."""
    if is_pointer(path):
        return f"the content of {pointer_in_words(path)}"
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 64, 0))
        return "" if file.read().rstrip().endswith(b"}") else f"the end of {path.name}"


def _json(path: Path) -> object:
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def hash_folder(folder: Path, hashes: HashCache) -> str:
    """The sha256 over names and bytes of the folder's weights and configuration, in name order."""
    files = [path for path in folder.rglob("*") if path.is_file() and _counts(path.relative_to(folder))]
    weights = [path for path in files if path.suffix == ".safetensors"]
    weights = weights or [path for path in files if path.suffix == ".bin"]
    configs = [path for path in files if path.suffix in CONFIG_SUFFIXES]
    return digest([[path.relative_to(folder).as_posix(), hashes.sha256(path)] for path in sorted(weights + configs)])


def _counts(path: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.parts)
    return not hidden and path.parts[0] not in OTHER_FOLDERS and path.name != SOURCE_FILE
