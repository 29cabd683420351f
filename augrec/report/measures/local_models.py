"""What each local language model of a comparison is, how well its answers came out, and what they took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from augrec.artefacts.files import read_json

BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0}
"""Of a parameter, by the number format of an engine."""


@dataclass(frozen=True)
class LocalModel:
    """One model of a comparison, None for what its engine did not record.

    Attributes:
        arm: the arm with everything that it says.
        source: whose records.
        parameters: of its weights, those of its embeddings included.
        weight_bytes: of the weights in memory, without the cache of keys and values.
        requests, valid, first: asked, answered validly, and so at the first attempt.
        prompt_tokens, completion_tokens: read and written.
        seconds: of generating, on so many devices.
        devices: how many worked at the same time.
        energy_joules: of all devices.
    """

    arm: str
    source: str
    parameters: int | None
    weight_bytes: float | None
    requests: int
    valid: int
    first: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    devices: int
    energy_joules: float | None

    @property
    def written_per_second(self) -> float | None:
        """Tokens that were written in a second; prompts were read in the same."""
        return self.completion_tokens / self.seconds if self.seconds else None


def read_local_models(summary: Path, arms: Mapping[str, str]) -> tuple[LocalModel, ...]:
    """The models by what the augment stage recorded of their sources.

    Args:
        summary: `augment/summary.json`.
        arms: arm -> its source.
    """
    sources = (read_json(summary).get("sources") or {}) if summary.exists() else {}
    found = []
    for arm, source in arms.items():
        written = sources.get(source) or {}
        engine, tasks = written.get("engine") or {}, list((written.get("tasks") or {}).values())
        parameters, size = (engine.get("figures") or {}).get("parameters"), BYTES.get(str(engine.get("dtype")))
        counts = {key: sum(int(task.get(key) or 0) for task in tasks) for key in COUNTED}
        found.append(
            LocalModel(
                arm=arm,
                source=source,
                parameters=parameters,
                weight_bytes=None if parameters is None or size is None else parameters * size,
                requests=counts["requests"],
                valid=counts["ok"],
                first=counts["first_attempt_ok"],
                prompt_tokens=counts["prompt_tokens"],
                completion_tokens=counts["completion_tokens"],
                seconds=sum(float(task.get("seconds") or 0.0) for task in tasks),
                devices=int(engine.get("devices") or 1),
                energy_joules=written.get("energy_joules"),
            )
        )
    return tuple(found)


COUNTED = ("requests", "ok", "first_attempt_ok", "prompt_tokens", "completion_tokens")
"""Of a task's summary."""
