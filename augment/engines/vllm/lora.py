"""LoRA adapters: whether vLLM can apply what a folder holds, the rank it must be told, and what decides an answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import parse_json, sha256_files
from augrec.artefacts.visible import one_line

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM 0.32 and 0.33 take as max_lora_rank, without its 1."""
PEFT = "train or save it with peft, or merge it into the model (merge_and_unload) and name the merged folder"


@dataclass(frozen=True)
class Adapter:
    """An adapter that can be applied."""

    folder: Path
    max_rank: int
    """The smallest of `RANKS` that holds all of its matrices."""
    ranks: tuple[int, ...]
    """Those that its configuration names."""
    sha256: str
    """Of its configuration and weights; whatever else lies in the folder changes no answer."""

    def room(self, asked: int | None) -> int:
        """The `max_lora_rank` that vLLM is told: what is asked for, or the least that holds it.

        Raises:
            UsageError: it does not fit into what is asked for.
        """
        if asked is not None and asked < self.max_rank:
            what = f"the adapter needs max_lora_rank {self.max_rank}, and {asked} is configured"
            raise UsageError(what, where=self.folder, remedy="raise max_lora_rank, or leave it out")
        return asked or self.max_rank


def read_adapter(folder: Path) -> Adapter:
    """The adapter in a local folder, as peft saves it.

    Raises:
        UsageError: the folder, its configuration or its weights are missing or broken, or vLLM cannot apply them.
    """
    if not folder.is_dir():
        raise UsageError("the LoRA folder does not exist", where=folder, remedy=f"name a folder with {CONFIG}")
    config = _config(folder / CONFIG)
    _check_supported(config, folder / CONFIG)
    weights = folder / WEIGHTS
    if not weights.is_file() or not weights.stat().st_size:
        raise UsageError(f"the LoRA folder has no {WEIGHTS}", where=folder, remedy="save the adapter as safetensors")
    ranks = _ranks(config, folder / CONFIG)
    most = next(allowed for allowed in RANKS if allowed >= max(ranks))
    return Adapter(folder, most, ranks, sha256_files(folder, [folder / CONFIG, weights]))


def base_of(folder: Path) -> str:
    """The model that an adapter was trained on, as its configuration names it; its weights are not read.

    Returns:
        A hub id, a path, or `sha256:` and the hash of the model's weights; "" where it names none.

    Raises:
        UsageError: there is no readable configuration.
    """
    base = _config(folder / CONFIG).get("base_model_name_or_path")
    return base if isinstance(base, str) else ""


def require_base(folder: Path, named: str) -> None:
    """Raises UsageError where an adapter was not trained on the model that a user has seen to be its base."""
    base = base_of(folder)
    if base != named:
        raise UsageError(
            f"lora_base is {one_line(named, 120)!r}, and the adapter names {one_line(base, 120)!r}",
            where=folder / CONFIG,
            remedy="see whether that is the model of the config; then write its name there, or leave lora_base out",
        )


def _config(path: Path) -> dict[str, Any]:
    try:
        config = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"the LoRA folder has no {path.name}", where=path.parent, remedy=PEFT) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot be read ({type(error).__name__})", where=path, remedy=PEFT) from error
    if not isinstance(config, dict):
        raise UsageError("is not a JSON object", where=path, remedy=PEFT)
    return config


def _check_supported(config: dict[str, Any], path: Path) -> None:
    """Refuses at once what vLLM would refuse after minutes of loading the model."""
    unsupported = {
        f"peft_type {config.get('peft_type')!r} instead of LORA": config.get("peft_type", "LORA") != "LORA",
        "DoRA (use_dora)": config.get("use_dora"),
        f"biases (bias: {config.get('bias')!r})": config.get("bias", "none") != "none",
        "whole layers of its own (modules_to_save)": config.get("modules_to_save"),
    }
    for what, present in unsupported.items():
        if present:
            raise UsageError(f"vLLM cannot apply this adapter: it has {what}", where=path, remedy=PEFT)


def _ranks(config: dict[str, Any], path: Path) -> tuple[int, ...]:
    pattern = config.get("rank_pattern") or {}
    ranks = [config.get("r"), *(pattern.values() if isinstance(pattern, dict) else [pattern])]
    for rank in ranks:
        if not isinstance(rank, int) or isinstance(rank, bool) or not 1 <= rank <= RANKS[-1]:
            raise UsageError(
                f"the rank of a LoRA adapter must be a number from 1 to {RANKS[-1]}, and is {rank!r}",
                where=f"{path}, r or rank_pattern",
                remedy=PEFT,
            )
    return tuple(ranks)
