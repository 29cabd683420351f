"""What the options of every engine say about it, so that nobody has to ask which engine it is."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from augrec.artefacts.options import Options


class EngineOptions(Options):
    """The options of one engine; the defaults are those of an engine without a model of its own."""

    kind: str
    """Which engine; each has one value."""

    needs_gpu: ClassVar[bool] = False
    """Whether it computes on GPUs where there are some: its jobs ask for them, and two never share one."""
    loads_weights: ClassVar[bool] = False
    """Whether it loads the weights that its option `model` names into its process."""
    replays: ClassVar[bool] = False
    """Whether records that exist already are copied, so that nothing is asked."""
    writes_text: ClassVar[bool] = True
    """Whether its records can be a language model's: a rule's are not. A replay's own are what `engine.json` says."""
    changes_no_answer: ClassVar[frozenset[str]] = frozenset()
    """Options that change how answers are got, not what they are."""

    @property
    def gpus(self) -> int:
        """How many GPUs one process of it takes, where it takes any."""
        return 0

    @property
    def brings_vectors(self) -> bool:
        """Whether vectors are copied with its records, so that nothing of them is embedded."""
        return False

    @property
    def history_terms(self) -> int:
        """Most terms of a history that the rule of a profile takes; 0: the rule takes none."""
        return 0

    @property
    def prose_profiles(self) -> bool:
        """Whether it writes profiles in prose whatever the task's options say."""
        return False

    @property
    def peaks(self) -> tuple[float, float] | None:
        """FLOP/s and bytes/s of its device, where the options give them."""
        return None

    @property
    def records_fatal(self) -> bool:
        """Whether a request that ends the process again and again is recorded as failed."""
        return False

    @property
    def uses_tuned(self) -> bool:
        """Whether it answers with the model that the run has tuned."""
        return False

    def with_tuned(self, *, adapter: Path | None = None, model: Path | None = None) -> Self:
        """The same options with the tuned model filled in: an adapter on the base model, or a folder of whole weights.

        Only for options that `uses_tuned`.
        """
        raise NotImplementedError(f"the engine {self.kind} uses no tuned model")

    def file_hashes(self) -> dict[str, str]:
        """The files beside a model's weights that decide what is answered: hashes by what they are."""
        return {}
