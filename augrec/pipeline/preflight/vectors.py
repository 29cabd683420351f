"""Will a variant's model be given vectors that it can be built with?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from augrec.artefacts.tasks import Attributes
from augrec.artefacts.treatments import NONE, treatment
from augrec.pipeline.config.controls import cards_of, given_texts
from augrec.pipeline.preflight.findings import Finding
from augrec.pipeline.stages.base import Run
from recsys.models.registry import FAMILIES

if TYPE_CHECKING:
    from augment.options import SourceOptions
    from augrec.pipeline.config.run_config import Config, Variant

ONE_MODEL = "choose an embedding.model whose vectors are all of one space, e.g. the default"


def look_at_vectors(run: Run) -> Iterator[Finding]:
    """Texts about users that a model compares and nobody writes, and vectors that are of different words each."""
    config = run.config
    for name, variant in config.variants.items():
        source = config.generation.sources[variant.source] if config.generation and variant.source else None
        model = config.models[variant.model]
        told = given_texts(variant.model_dump(), source, "user")
        for option, inputs in FAMILIES[model.family].compared(model).items():
            key, where = f"models.{variant.model}.{option}", f"variants.{name}"
            if "user" in inputs and not told:
                yield Finding(
                    "problem", f"{key} compares texts about users, and nobody writes them for this variant", where,
                    "give it a `source` with a task of texts about users, e.g. user_profile, and no `change` that "
                    "leaves it out",
                )  # fmt: skip
            elif config.embedding is None or not config.embedding.lexical or (source and source.brings_vectors):
                continue
            elif "user" in inputs:
                yield Finding("problem", _apart(key, "users and of items"), where, ONE_MODEL)
            elif "attributes" in inputs and source and _attributes(config, variant, source) > 1:
                alone = ", or set it to false" if option.endswith("share_item_projection") else ", or set it to 0"
                yield Finding("problem", _apart(key, "several attributes"), where, ONE_MODEL + alone)


def _apart(key: str, whose: str) -> str:
    return (
        f"{key} takes the vectors of {whose} for vectors of one space, and with embedding.model: tfidf those of each "
        "have terms of their own"
    )


def _attributes(config: Config, variant: Variant, source: SourceOptions) -> int:
    """How many attributes of items at least a source's language model gives a variant; rules know none."""
    assert config.generation is not None
    if not source.engine.writes_text or source.engine.replays:
        return 0  # of records nobody knows before they are read which fields they hold
    count = 0
    for task, card in cards_of(source).items():
        if card is None or card.about != "item" or not isinstance(card.gives, Attributes):
            continue
        if treatment(variant.model_dump(), task) != NONE:
            fields = getattr(config.generation.tasks.of(task), "fields", None)
            count += 1 if fields is None else len(fields) or 3  # who made it, where, in which language
    return count
