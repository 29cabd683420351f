"""`augrec models` shows every family of the registry, and every option of one."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from augrec.artefacts.errors import UsageError
from augrec.pipeline.model_list import describe_families, describe_family, render_families, render_family
from recsys.models.registry import FAMILIES
from tests.kit.toy_run import silent


def shown(render, *arguments: str) -> str:
    out = io.StringIO()
    render(*arguments, Console(file=out, width=200))
    return out.getvalue()


def test_every_family_has_a_line_with_its_paper() -> None:
    text = shown(render_families)
    for family in FAMILIES.values():
        line = next(line for line in text.splitlines() if line.startswith(f"{family.name} "))
        assert f"{family.title}, {family.paper}" in line


@pytest.mark.parametrize("name", FAMILIES)
def test_every_option_is_listed_with_a_meaning(name: str) -> None:
    options = describe_family(name)["options"]
    assert [option["option"] for option in options if not option["meaning"]] == []
    top = {option["option"].partition(".")[0] for option in options}
    assert top == set(FAMILIES[name].options.model_fields) - {"family"}
    assert all(option["option"] in shown(render_family, name) for option in options)


def test_what_a_family_needs_is_said() -> None:
    by_name = {entry["family"]: entry for entry in describe_families()}
    assert by_name["popularity"]["needs"] == by_name["popularity"]["can_take"] == []
    assert "user" in by_name["llmrec"]["can_take"]
    assert "edges" in by_name["lightgcn"]["can_take"]
    assert (by_name["sasrec"]["needs"], by_name["sasrec"]["can_take"]) == (["times"], ["insertions"])


def test_an_unknown_family_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'lightgcn'"):
        render_family("lightgnc", silent())
