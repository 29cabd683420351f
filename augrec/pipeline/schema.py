"""`augrec schema`: what a config may say, as a JSON schema that editors read."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from augrec.artefacts.errors import UsageError
from augrec.artefacts.plugins import load_plugins
from augrec.artefacts.registry import rebuild

DIALECT = "https://json-schema.org/draft/2020-12/schema"
KINDS = ("run", "experiment", "compare")


def config_schema(kind: str) -> dict[str, Any]:
    """The JSON schema of a kind of config. Every key has the title and the explanation that stand in the code.

    A file that it accepts may still be wrong: names that are defined nowhere, and values that do not fit each other,
    show when the config is read (`augrec validate`).

    Args:
        kind: run, experiment or compare.
    """
    load_plugins()
    model = rebuild(_model(kind))
    schema = model.model_json_schema(mode="validation")
    return {"$schema": DIALECT, **schema, "title": f"Augrec: {kind}"}


def _model(kind: str) -> type[BaseModel]:
    if kind == "run":
        from augrec.pipeline.config.run_config import Config

        return Config
    if kind == "experiment":
        from augrec.pipeline.studies.experiment.options import Experiment

        return Experiment
    if kind == "compare":
        from augrec.pipeline.studies.comparison.options import Compare

        return Compare
    raise UsageError(f"there is no kind of config called '{kind}'", remedy=f"one of {', '.join(KINDS)}")
