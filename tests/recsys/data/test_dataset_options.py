"""The `dataset` section of a config."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

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
        ({"source": {"format": "table", "path": "p", "table": {"rename": {"Name": ""}}}}, "at least 1 character"),
        ({"k_core": -1}, "greater than or equal to 0"),
        ({"sample_users": 0}, "greater than 0"),
        ({"sample_users": 1.5}, "less than 1"),
        ({"sampling": "never"}, "before_k_core"),
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
        options.HashedSplit,
        options.InteractionSplit,
        options.LeaveLastOut,
        options.TemporalSplit,
        options.GlobalTemporalSplit,
    ]


def test_options_load_without_heavy_packages() -> None:
    check = "import sys, recsys.data.options; print([m for m in ('torch', 'pandas', 'datasets') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("written", "ratios"),
    [
        ([80, 10, 10], (80, 10, 10)),
        ([0.8, 0.1, 0.1], (8, 1, 1)),
        (["8/10", "1/10", "1/10"], (8, 1, 1)),
        ("80/10/10", (8, 1, 1)),
        ("8:1:1", (8, 1, 1)),
        (["70%", "15%", "15%"], (14, 3, 3)),
        ([0.333, 0.333, 0.334], (333, 333, 334)),
    ],
)
def test_ratios_may_be_fractions(options: Callable, written: object, ratios: tuple[int, int, int]) -> None:
    assert options(split={"kind": "temporal", "ratios": written}).split.ratios == ratios


@pytest.mark.parametrize("written", [[0.8, 0.1, 0.2], [0.8, 0.2], ["a", 1, 1], [8, 2, 0], "8/2", [1, 1, True]])
def test_ratios_that_make_no_sense_are_refused(options: Callable, written: object) -> None:
    with pytest.raises(ValidationError):
        options(split={"kind": "random", "ratios": written})


@pytest.mark.parametrize("number", [0.2, 1, 200, None])
def test_users_are_sampled_by_number_or_share(options: Callable, number: float | None) -> None:
    drawn = options(sample_users=number).sample_users
    assert (drawn, type(drawn)) == (number, type(number))


def test_an_encoding_nobody_knows_is_refused(options: Callable) -> None:
    with pytest.raises(ValidationError, match="no encoding is called"):
        options("table", {"encoding": "utf-9"})
