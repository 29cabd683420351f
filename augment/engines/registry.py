"""The engines by the `kind` of their options. A new one is a file with its options, and an entry here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from augment.engines.base import Engine, EngineInputs
from augment.engines.heuristic import HeuristicOptions
from augment.engines.openai.options import OpenAIOptions
from augment.engines.options import EngineOptions
from augment.engines.vllm.options import VllmOptions
from augrec.artefacts.registry import Registry

if TYPE_CHECKING:
    from augment.engines.memory import MemoryNeed


@dataclass(frozen=True)
class EngineKind:
    """One kind of engine.

    Args:
        options: the class of its options; what they declare is all that others know of the engine.
        module: dotted name of the module that has `build(options, inputs) -> Engine`; it is imported when an engine is
            built, never to read a config, and is what counts as the engine's code.
        sizes: dotted name of the module that has `memory_need(model_folder, options) -> MemoryNeed`, for engines that
            load weights onto GPUs; None: nothing is known.
    """

    options: type[EngineOptions]
    module: str
    sizes: str | None = None

    @property
    def name(self) -> str:
        """The value of `kind` in a config."""
        return str(self.options.model_fields["kind"].default)

    def build(self, options: EngineOptions, inputs: EngineInputs) -> Engine:
        """An engine, not yet started."""
        return cast("Engine", import_module(self.module).build(options, inputs))

    def memory_need(self, options: EngineOptions, model: Path) -> MemoryNeed | None:
        """What the engine takes of each GPU with the weights in a folder; None where it does not say.

        Raises:
            UnknownSize: of a model whose size cannot be told.
        """
        return cast("MemoryNeed", import_module(self.sizes).memory_need(model, options)) if self.sizes else None


ENGINES: Registry[EngineKind] = Registry("kind of engine")
ENGINES.register(EngineKind(VllmOptions, "augment.engines.vllm.engine", "augment.engines.vllm.sizes"))
ENGINES.register(EngineKind(OpenAIOptions, "augment.engines.openai.engine"))
ENGINES.register(EngineKind(HeuristicOptions, "augment.engines.heuristic"))


def build_engine(options: EngineOptions, inputs: EngineInputs) -> Engine:
    """The engine that some options are of, not yet started."""
    return ENGINES.find(options.kind).build(options, inputs)
