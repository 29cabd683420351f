"""One way of `benchmarks.tuning`, in the environment that trains: started by its path, says its CPU seconds and memory.

    PYTHON tuning_way.py START SETTINGS ours|trl

START is the program that lends the package to this environment; SETTINGS is what the trainer is told.
"""

from __future__ import annotations

import json
import resource
import runpy
import sys
import time
from pathlib import Path
from typing import Any


def timed(base: Any, told: dict[str, float]) -> Any:
    """A trainer that notes the CPU seconds of its steps."""

    class Timed(base):  # type: ignore[misc]
        def train(self, *arguments: Any, **named: Any) -> Any:
            began = time.process_time()
            done = super().train(*arguments, **named)
            told["cpu_seconds"] = time.process_time() - began
            return done

    return Timed


def main(start: Path, settings: Path, way: str) -> int:
    """Trains, and prints what it took."""
    runpy.run_path(str(start), run_name="lent")["lend"](start.parents[2])
    from trl import SFTTrainer

    from augrec.pipeline.tuning import causal_attention, lora_product, trainer

    told: dict[str, float] = {}
    own, options = trainer.trainer_class, trainer._options

    def as_trl_does(said: Any, files: Any) -> Any:
        """As many instructions at once as the settings say, padded to the longest."""
        made = options(said, files)
        made.per_device_train_batch_size = said.micro_batch_size
        made.gradient_accumulation_steps = said.batch_size // said.micro_batch_size
        return made

    if way == "trl":
        trainer._options = as_trl_does  # type: ignore[assignment]
        causal_attention.use = lora_product.use = lambda _: 0  # type: ignore[assignment]
        trainer.trainer_class = lambda *_, **__: timed(SFTTrainer, told)
    else:
        trainer.trainer_class = lambda *given, **named: timed(own(*given, **named), told)
    code = trainer.train(trainer.TrainerSettings.read(settings), trainer.Talk(None))
    print(json.dumps(told | {"peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
