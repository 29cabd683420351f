"""An environment of instruction tuning that is a script: it does what a trainer does, and trains nothing."""

from __future__ import annotations

import sys
from pathlib import Path

from augrec.pipeline.tuning.environment import PACKAGES

BEFORE = """#!{python}
import json, os, signal, sys
sys.path.insert(0, {root!r})
from pathlib import Path
program, path = sys.argv[1:]
from augrec.pipeline.tuning.settings import TrainerSettings
settings = TrainerSettings.read(Path(path))
folder = Path(settings.folder)


def say(**facts):
    print(json.dumps(facts), flush=True)


def finish(content=b"weights"):
    adapter = {{"peft_type": "LORA", "r": int((settings.lora or {{}}).get("rank", 8))}}
    (folder / "adapter").mkdir(exist_ok=True)
    (folder / "adapter" / "adapter_config.json").write_text(json.dumps(adapter))
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(content)
    with (folder / "trained.log").open("a") as log:
        log.write(settings.fingerprint + chr(10))
    point = {{"epoch": 1, "learning_rate": 0.0, "tokens": 9, "seconds": 1.0}}
    lines = [json.dumps(point | {{"step": step, "loss": 2.0 / step}}) for step in (1, 2)]
    (folder / "loss.jsonl").write_text(chr(10).join(lines) + chr(10))
    facts = {{"steps": 2, "first_loss": 2.0, "last_loss": 1.0, "seconds": 1.0, "device": "CPU, 1 thread"}}
    counts = {{"sequences": 3, "tokens": 90, "answer_tokens": 9, "trained_parameters": 4, "parameters": 8}}
    facts |= counts | {{"processes": 1, "start_seconds": 0.5, "versions": {{"trl": "1.16.0"}}}}
    (folder / "trained.json").write_text(json.dumps({{"fingerprint": settings.fingerprint}} | facts))


"""
TRAINS = "say(steps=2, done=0)\nsay(step=1, loss=2.0)\nsay(step=2, loss=1.0)\nfinish()\n"


def write_environment(root: Path, body: str = TRAINS) -> Path:
    """An environment as pip leaves it, with a script for an interpreter; the script.

    Args:
        root: a new folder.
        body: what the script does: `say(**facts)` as a trainer does, `finish()` writes what one leaves behind.
    """
    packages = root / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    for name in PACKAGES:
        (packages / f"{name}-1.2.3.dist-info").mkdir()
    script = root / "bin" / "python"
    script.parent.mkdir()
    script.write_text(BEFORE.format(python=sys.executable, root=str(Path(__file__).parents[2])) + body)
    script.chmod(0o755)
    return script
