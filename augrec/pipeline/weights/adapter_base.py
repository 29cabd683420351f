"""Whether an adapter was trained on the model that it is added to, as far as its configuration tells.

vLLM adds an adapter to whatever model has its widths: those of a base model and of the one tuned to instructions, of
two releases, or of two models of a family are the same, and the answers are of neither. An adapter names its base by a
hub id or a path, which may be gone or be called otherwise here, so names alone refuse nothing.
"""

from __future__ import annotations

import re
from pathlib import Path

from augrec.artefacts.model_files import BY_HASH, model_config
from augrec.artefacts.visible import one_line

COMPARED = ("model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")
_OF_HUB = re.compile(r"models--(?:.+--)?(?P<name>.+?)(?:/|$)")
_STORED = re.compile(
    r"[-._](gguf|safetensors|hf|awq|gptq|exl2|marlin|bnb|unsloth|dynamic|fp8|nvfp4|mxfp4|bf16|fp16|f16|f32|int\d|\d-?bit|w\d+a\d+"
    r"|i?q\d\w*)$"
)
"""What a name says of how weights are stored, at its end."""


def other_base(base: str, model: str, folder: Path | None, *, confirmed: bool = False) -> str:
    """By what an adapter's base shows that it is another model, in words; "" where nothing does.

    Args:
        base: how the adapter names the model that it was trained on.
        model: how the config names the one that it is added to.
        folder: where that one lies; None where it is not known yet.
        confirmed: whether the user says that the two are one model under two names; what both say of themselves counts
            all the same.
    """
    if not base or base.startswith(BY_HASH):
        return ""
    config = (model_config(folder) if folder is not None else None) or {}
    if is_local(base) and (lies := Path(base).expanduser()).is_dir():
        if folder is not None and lies.samefile(folder):
            return ""
        theirs = model_config(lies) or {}
        for key in COMPARED:
            there, here = theirs.get(key), config.get(key)
            if there is not None and here is not None and there != here:
                return f"the adapter's base, {one_line(base, 120)}, has {key} {there}, and the model {here}"
    if confirmed:
        return ""
    names = {plain_name(called) for called in (model, config.get("_name_or_path")) if isinstance(called, str)}
    name = plain_name(base)
    if not name or name in names:
        return ""
    return f"the adapter was trained on {one_line(base, 120)!r}, and the model is called {one_line(model, 120)!r}"


def other_weights(base: str, sha256: str) -> bool:
    """Whether an adapter names its base by a hash, and the model's is another one."""
    return base.startswith(BY_HASH) and base.removeprefix(BY_HASH) != sha256


def is_local(base: str) -> bool:
    """Whether a base is named by a path: it may be gone, and nothing is known of it but the name."""
    return base.startswith(("/", ".", "~")) or base.count("/") > 1 or Path(base).is_dir()


def plain_name(model: str) -> str:
    """The last part of a model's name, in small letters and without what tells how its weights are stored.

    >>> plain_name("Qwen/Qwen2.5-7B-Instruct-AWQ@main"), plain_name("/cache/models--Qwen--Qwen2.5-7B/snapshots/0123/")
    ('qwen2.5-7b-instruct', 'qwen2.5-7b')
    """
    model = model.replace("\\", "/")
    of_hub = _OF_HUB.search(model)
    name = (of_hub["name"] if of_hub else model.partition("@")[0].rstrip("/").rpartition("/")[2]).lower()
    while (shorter := _STORED.sub("", name)) != name:
        name = shorter
    return name
