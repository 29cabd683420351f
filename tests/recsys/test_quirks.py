from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from recsys.aligners.options import ConOptions
from recsys.models.options.lightgcn import LightGcnOptions
from recsys.models.options.pairwise_graph import PairwiseGraphOptions
from recsys.models.registry import FAMILIES, ModelOptions

MODELS: TypeAdapter[Any] = TypeAdapter(ModelOptions)
GRAPH = {name: family.options for name, family in FAMILIES.items() if issubclass(family.options, PairwiseGraphOptions)}
WITH_QUIRKS = [name for name, options in GRAPH.items() if options.quirks]


def test_only_mixgcf_is_as_its_authors_wrote_it() -> None:
    assert {*GRAPH} - {*WITH_QUIRKS} == {"mixgcf"}


@pytest.mark.parametrize("aligner", ["none", "con", "gen"])
@pytest.mark.parametrize("name", WITH_QUIRKS)
def test_a_saved_config_shows_every_quirk_and_is_read_as_the_same(name: str, aligner: str) -> None:
    options = MODELS.validate_python({"family": name, "released": True, "aligner": {"kind": aligner}})
    saved, plain = options.model_dump(mode="json"), MODELS.validate_python({"family": name}).model_dump(mode="json")
    quirks = FAMILIES[name].options.quirks
    assert quirks
    assert {key: saved[key] for key in quirks} == dict(quirks)
    assert all(plain[key] != value for key, value in quirks.items())
    assert MODELS.validate_python(saved) == options


def test_an_aligner_is_released_with_its_model() -> None:
    aligner = {"kind": "con", "weight": 0.5}
    assert not LightGcnOptions.model_validate({"aligner": aligner}).aligner.repeated
    for given in (aligner, ConOptions(weight=0.5)):
        options = LightGcnOptions.model_validate({"released": True, "aligner": given})
        assert isinstance(options.aligner, ConOptions)
        assert (options.aligner.repeated, options.aligner.weight) == (True, 0.5)


def test_what_is_given_beside_it_stays() -> None:
    options = LightGcnOptions.model_validate(
        {"released": True, "pooling": "mean", "aligner": {"kind": "con", "repeated": False}}
    )
    assert (options.pooling, options.rescale) == ("mean", False)
    assert isinstance(options.aligner, ConOptions)
    assert not options.aligner.repeated
