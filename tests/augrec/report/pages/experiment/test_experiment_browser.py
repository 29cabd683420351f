"""The page of an experiment in a real browser: its plots follow the page, it fits a telephone, all can read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from augrec.report.pages.experiment.options import TableOptions
from augrec.report.pages.experiment.page import write_pages
from augrec.report.study import Named, Study, StudyRun, StudyVariant, Swept
from tests.kit.html_pages import beyond_the_edge, look, open_page, violations

pytestmark = pytest.mark.browser
SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def written(stored: Path, variants: list[str]) -> Path:
    folder = stored.parent
    of = {name: StudyVariant(name, "lightgcn", "general", SEEDS, SEEDS) for name in variants}
    one = StudyRun("films", "warm", stored, SEEDS, of, "same", 3.0, (), ())
    lines = {"lightgcn": ((0.1, "lightgcn-without"), (0.2, "lightgcn-llm"))}
    sweep = Swept("weight of the text", "models.llmrec.scale", ("recall@20", "ndcg@20"), lines)
    study = Study(
        "toy", "A toy", folder, {"films": Named("Films")}, {"warm": Named("warm")}, {"weight": sweep}, False, (one,)
    )
    table = TableOptions(title="Table 1", metrics=("recall@20", "ndcg@20"), baseline="lightgcn-without", bootstrap=100)
    write_pages(study, {"main": table})
    return folder / "index.html"


@pytest.fixture
def page(written: Path, browser: Any) -> Any:
    look(browser, 1280, "light")
    browser.get("about:blank")  # the page as the test before left it has the same address
    return open_page(browser, written)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(page: Any, width: int, scheme: str) -> None:
    look(page, width, scheme)
    assert violations(page) == []
    assert beyond_the_edge(page) == []


def test_plots_take_the_colours_of_the_page_and_letters_stay_legible(page: Any) -> None:
    texts = "return [...document.querySelectorAll('figure svg text')].filter(t => t.getBoundingClientRect().height)"
    colours = set()
    for scheme in ("light", "dark"):
        for width in (390, 1280):
            look(page, width, scheme)
            assert page.execute_script("return [...document.querySelectorAll('img')].length") == 0
            heights = page.execute_script(f"{texts}.map(t => t.getBoundingClientRect().height)")
            assert len(heights) > 10
            assert min(heights) >= 10
        colours.add(page.execute_script(f"{texts}.map(t => getComputedStyle(t).fill)[0]"))
    assert len(colours) == 2
