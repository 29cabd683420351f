"""The engines by the `kind` of their options. A new one is a file with its options, and an entry here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import cast

from augment.engines.base import Engine, EngineInputs
from augment.engines.heuristic import HeuristicOptions
from augment.engines.openai.options import OpenAIOptions
from augment.engines.options import EngineOptions
from augment.engines.vllm.options import VllmOptions
from augrec.artefacts.registry import Registry


@dataclass(frozen=True)
class EngineKind:
    """One kind of engine.

    Args:
        options: the class of its options; what they declare is all that others know of the engine.
        module: dotted name of the module that has `build(options, inputs) -> Engine`; it is imported when an engine is
            built, never to read a config, and is what counts as the engine's code.
    """

    options: type[EngineOptions]
    module: str

    @property
    def name(self) -> str:
        """The value of `kind` in a config."""
        return str(self.options.model_fields["kind"].default)

    def build(self, options: EngineOptions, inputs: EngineInputs) -> Engine:
        """An engine, not yet started."""
        return cast("Engine", import_module(self.module).build(options, inputs))


ENGINES: Registry[EngineKind] = Registry("kind of engine")
ENGINES.register(EngineKind(VllmOptions, "augment.engines.vllm.engine"))
ENGINES.register(EngineKind(OpenAIOptions, "augment.engines.openai.engine"))
ENGINES.register(EngineKind(HeuristicOptions, "augment.engines.heuristic"))


def build_engine(options: EngineOptions, inputs: EngineInputs) -> Engine:
    """The engine that some options are of, not yet started."""
    return ENGINES.find(options.kind).build(options, inputs)
