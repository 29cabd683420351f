"""What the tuned model is to an engine: an adapter on its base model, or weights of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from augment.engines.options import EngineOptions
from augrec.pipeline.tuning.instructions import tune_options

if TYPE_CHECKING:
    from augrec.pipeline.config.run_config import Config
    from augrec.pipeline.stages.base import Run


def served(engine: EngineOptions, run: Run) -> EngineOptions:
    """The options of an engine with the tuned model in its place, where they ask for it (`tuned: true`)."""
    if not engine.uses_tuned:
        return engine
    if applies_adapter(engine, run.config):
        return engine.with_tuned(adapter=run.files.tune.adapter)
    return engine.with_tuned(model=run.files.tune.model)


def applies_adapter(engine: EngineOptions, config: Config) -> bool:
    """Whether an engine answers with an adapter beside its model's weights: one that `lora` names, or a tuned one."""
    if not engine.uses_tuned:
        return getattr(engine, "lora", None) is not None
    options = tune_options(config)
    return options.method == "lora" and not options.merge
