"""Whether a folder holds a whole model, and one hash over what decides its output."""

from __future__ import annotations

import json
from pathlib import Path

from artefacts.files import digest
from pipeline.weights.hashes import HashCache

TOKENIZERS = (
    ("tokenizer.json",),
    ("tokenizer.model",),
    ("vocab.txt",),
    ("vocab.json", "merges.txt"),
    ("spiece.model",),
    ("sentencepiece.bpe.model",),
    ("tekken.json",),
)
CONFIG_SUFFIXES = (".json", ".txt", ".model", ".jinja")
# Exports of the same weights for other runtimes, and what tools leave behind.
OTHER_FOLDERS = ("onnx", "openvino", "original", "coreml", "tf")
SOURCE_FILE = "source.json"


def missing_parts(folder: Path) -> list[str]:
    """What a model folder lacks, in words; empty when it can be loaded.

    Understands transformers folders and sentence-transformers folders (`modules.json`).
    """
    root, needs_config, missing = folder, True, []
    if (folder / "modules.json").is_file():
        modules = _json(folder / "modules.json")
        if not isinstance(modules, list) or not modules:
            return ["a readable modules.json"]
        root = folder / modules[0]["path"]
        needs_config = "Transformer" in modules[0]["type"].rpartition(".")[2]
        pooling = [module["path"] for module in modules if module["type"].endswith("Pooling")]
        missing += [f"{path}/config.json" for path in pooling if not (folder / path / "config.json").is_file()]
    if needs_config and not isinstance(_json(root / "config.json"), dict):
        missing.append("config.json")
    missing += _missing_weights(root)
    if not any(all((root / name).is_file() for name in names) for names in TOKENIZERS):
        missing.append("tokenizer files (tokenizer.json, or vocab.json and merges.txt, or a .model file)")
    return missing


def _missing_weights(root: Path) -> list[str]:
    for index in sorted(root.glob("*.safetensors.index.json")) or sorted(root.glob("*.bin.index.json")):
        content = _json(index)
        shards = sorted(set(content.get("weight_map", {}).values())) if isinstance(content, dict) else []
        return [shard for shard in shards if not _holds_bytes(root / shard)] if shards else [f"a readable {index.name}"]
    if any(_holds_bytes(path) for path in (*root.glob("*.safetensors"), *root.glob("pytorch_model*.bin"))):
        return []
    return ["weights (*.safetensors)"]


def _holds_bytes(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
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
