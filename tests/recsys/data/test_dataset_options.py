"""The `dataset` section of a config."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from recsys.data.options import DatasetOptions

BASE = {"name": "x", "source": {"format": "recbole", "path": "p"}, "split": {"kind": "temporal"}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": {"kind": "leave_last_out", "ratios": [8, 1, 1]}}, "ratios"),
        ({"split": {"kind": "temporal", "ratios": [8, 0, 1]}}, "greater than 0"),
        ({"split": {"kind": "sideways"}}, "random"),
        ({"source": {"format": "table", "path": "p"}}, "source.table is required"),
        ({"source": {"format": "ml-1m", "path": "p", "table": {}}}, "only read by `format: table`"),
        ({"k_core": -1}, "greater than or equal to 0"),
        ({"sample_users": 0}, "greater than 0"),
        ({"k_cores": 5}, "Extra inputs"),
    ],
)
def test_nonsense_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DatasetOptions.model_validate(BASE | change)


def test_every_field_is_documented() -> None:
    for model in [DatasetOptions, *(type_ for type_ in _models())]:
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"


def _models() -> list:
    from recsys.data import options

    return [
        options.SourceOptions,
        options.TableOptions,
        options.RandomSplit,
        options.LeaveLastOut,
        options.TemporalSplit,
    ]


def test_options_load_without_heavy_packages() -> None:
    check = "import sys, recsys.data.options; print([m for m in ('torch', 'pandas', 'datasets') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
