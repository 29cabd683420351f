"""The JSON schema that editors are given accepts what is shipped and refuses what the program would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from augrec.cli import app
from augrec.pipeline.schema import KINDS, config_schema

CONFIGS = Path(__file__).parents[3] / "configs"
SHIPPED = sorted(path for path in CONFIGS.glob("*/*.yaml") if path.parent.name != "spaces")


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content


def kind_of(content: dict[str, Any]) -> str:
    return "compare" if "arms" in content else "run" if "dataset" in content else "experiment"


def problems(content: dict[str, Any]) -> list[str]:
    return [error.message for error in Draft202012Validator(config_schema(kind_of(content))).iter_errors(content)]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_shipped_configs_are_accepted(path: Path) -> None:
    assert problems(read(path)) == []


def test_every_kind_is_shipped() -> None:
    assert {kind_of(read(path)) for path in SHIPPED} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_key_is_refused(kind: str) -> None:
    content = next(content for content in map(read, SHIPPED) if kind_of(content) == kind)
    assert any("'sede' was unexpected" in problem for problem in problems({**content, "sede": 1}))


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("training", {"epochs": "many"}),
        ("training", {"epoch": 3}),
        ("models", {"base": {"family": "lightgcn", "layres": 2}}),
        ("models", {"base": {"family": "lightgnc"}}),
        ("dataset", {"name": "x"}),
        ("seeds", []),
    ],
)
def test_a_wrong_value_is_refused(section: str, value: object) -> None:
    assert problems({**read(CONFIGS / "ml-100k" / "demo.yaml"), section: value})


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_is_explained(kind: str) -> None:
    schema = config_schema(kind)
    Draft202012Validator.check_schema(schema)
    sections = {"": schema, **schema["$defs"]}

    def explained(key: dict[str, Any]) -> bool:
        """By words of its own, by those of the section it holds, or by being the one value that names a kind."""
        return "description" in key or "const" in key or "$ref" in json.dumps(key)

    keys = {(name, key): value for name, section in sections.items() for key, value in _keys(section).items()}
    assert len(keys) > 20
    assert [place for place, value in keys.items() if not explained(value)] == []
    assert [
        name for name, section in sections.items() if "properties" in section and "description" not in section
    ] == []


def _keys(section: dict[str, Any]) -> dict[str, Any]:
    keys: dict[str, Any] = section.get("properties", {})
    return keys


def test_the_command_prints_it() -> None:
    printed = CliRunner().invoke(app, ["schema", "experiment"])
    assert json.loads(printed.output) == config_schema("experiment")
    assert CliRunner().invoke(app, ["schema", "rum"]).exit_code != 0
