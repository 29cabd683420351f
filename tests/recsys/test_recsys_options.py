from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import TypeAdapter, ValidationError

from augrec.artefacts.errors import UsageError
from augrec.artefacts.options import Options
from recsys.models.registry import FAMILIES, ModelOptions
from recsys.options import EvaluationOptions, TrainingOptions, TrainingOverrides

MODELS = TypeAdapter(ModelOptions)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_chosen_by_its_name_and_documents_every_option(name: str) -> None:
    options = MODELS.validate_python({"family": name})
    assert type(options) is FAMILIES[name].options
    undocumented = [
        key for key, field in type(options).model_fields.items() if not field.description and key != "family"
    ]
    assert not undocumented


def test_an_option_of_another_family_is_refused() -> None:
    with pytest.raises(ValidationError, match="layers"):
        MODELS.validate_python({"family": "mf_bpr", "layers": 2})


def test_a_misspelt_family_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'lightgcn'"):
        FAMILIES.find("lightgnc")


def test_overrides_replace_only_what_is_given_even_when_it_is_the_default() -> None:
    training = TrainingOptions(lr=0.5, epochs=7, patience=3)
    overrides = TrainingOverrides(lr=TrainingOptions().lr)
    merged = overrides.applied_to(training)
    assert (merged.lr, merged.epochs, merged.patience) == (TrainingOptions().lr, 7, 3)


def test_overrides_survive_being_saved_with_the_resolved_config() -> None:
    options = MODELS.validate_python({"family": "lightgcn", "training": {"lr": 0.01}})
    saved = options.model_dump(mode="json")
    assert saved["training"] == {"lr": 0.01}
    again = MODELS.validate_python(saved)
    assert again == options
    assert again.training.applied_to(TrainingOptions(epochs=3)).epochs == 3


@pytest.mark.parametrize(
    ("section", "given"),
    [
        (TrainingOptions, {"lr": 0}),
        (TrainingOptions, {"monitor": "recall@0"}),
        (TrainingOptions, {"monitor": "coverage@20"}),
        (TrainingOptions, {"device": "tpu"}),
        (TrainingOverrides, {"epochs": 0}),
        (TrainingOverrides, {"learning_rate": 0.1}),
        (EvaluationOptions, {"cutoffs": []}),
        (EvaluationOptions, {"cutoffs": [0]}),
    ],
)
def test_impossible_settings_are_refused(section: type[Options], given: dict) -> None:
    with pytest.raises(ValidationError):
        section(**given)


def test_the_protocol_decides_the_validation_mask_unless_told() -> None:
    assert EvaluationOptions().masks_validation
    assert not EvaluationOptions(protocol="official").masks_validation
    assert not EvaluationOptions(protocol="rlmrec").masks_validation
    assert not EvaluationOptions(mask_valid_at_test=False).masks_validation
    assert EvaluationOptions(protocol="official", mask_valid_at_test=True).masks_validation


def test_options_load_without_torch() -> None:
    code = "import sys, recsys.options, recsys.augmentation; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
