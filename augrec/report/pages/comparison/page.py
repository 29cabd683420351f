"""The page of a comparison: everything of `compare.json` in one HTML file that needs no network and no script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import write_text
from augrec.report.pages.comparison.cost_tables import cost_table, per_cost_table
from augrec.report.pages.comparison.looks import arm_looks, arm_titles, key_of, source_looks
from augrec.report.pages.comparison.page_facts import (
    count_facts,
    data_facts,
    protocol_facts,
    run_facts,
    stage_facts,
    versions_facts,
)
from augrec.report.pages.comparison.plots import forest, tuning_figures
from augrec.report.pages.comparison.result_tables import (
    against_table,
    arms_table,
    recommenders_table,
    results_table,
    tuning_table,
)
from augrec.report.pages.comparison.text_plots import consistency_figure, leak_figure, length_figures, position_figures
from augrec.report.pages.comparison.text_tables import (
    agreement_matrices,
    agreement_table,
    consistency_table,
    intrinsic_table,
    leak_table,
    memorisation_table,
    position_table,
    task_name,
)
from augrec.report.render.html import Head, page
from augrec.report.render.safe_text import beginning, cleaned

HERE = Path(__file__).parent
SCHEMA = 1


def write_page(content: dict[str, Any], path: Path) -> None:
    """Writes the page.

    Args:
        content: what `compare.json` holds.
        path: the HTML file to write.

    Raises:
        DataError: the content is of another schema.
    """
    write_text(path, render(content))


def shown_content(content: dict[str, Any]) -> dict[str, Any]:
    """The content as it may be shown: of a known schema, and with nothing in it that acts unseen."""
    if content.get("schema") != SCHEMA:
        raise DataError(
            f"the comparison has schema {content.get('schema')!r}, and this version shows schema {SCHEMA}",
            where="compare.json, schema",
            remedy="run `augrec compare` again with this version",
        )
    shown: dict[str, Any] = cleaned(content)
    return shown | {"groups": [group | {"number": n} for n, group in enumerate(shown["groups"])]}


def render(content: dict[str, Any]) -> str:
    """The whole page as HTML; all text is escaped."""
    content = shown_content(content)
    headline = content["headline"]
    head = Head(
        content.get("title") or content["name"],
        kicker=content["data"].get("name") or "A comparison",
        lead=headline.get("lead") or "Nothing was found.",
        evidence=headline.get("evidence") or "",
        findings=headline.get("details") or (),
        sections=SECTIONS,
    )
    shown = {
        "c": content,
        **_results(content),
        **_texts(content),
        **{facts.__name__: facts(content) for facts in _FACTS},
        "cost": cost_table(content),
        "per_cost": per_cost_table(content),
        "examples": _examples(content),
        "config": _config_text(content["provenance"].get("config")),
    }
    return page("compare.html.j2", HERE, head, shown, styles=[HERE / "compare.css"], scripts=[HERE / "compare.js"])


SECTIONS = (
    ("results", "Results"),
    ("compared", "What was compared"),
    ("tuning", "Tuning"),
    ("texts", "The texts"),
    ("leak", "Leak and memory"),
    ("cost", "Cost"),
    ("examples", "Examples"),
    ("provenance", "Provenance"),
)
_FACTS = (data_facts, count_facts, protocol_facts, versions_facts, stage_facts, run_facts)


def _results(content: dict[str, Any]) -> dict[str, Any]:
    groups = [
        (group, forest(content, group), results_table(content, group), against_table(content, group))
        for group in content["groups"]
    ]
    return {
        "titles": arm_titles(content),
        "key": key_of(content),
        "groups": [parts for parts in groups if parts[2] is not None],
        "arms": arms_table(content),
        "recommenders": recommenders_table(content),
        "tuning": tuning_figures(content),
        "tuned": tuning_table(content),
    }


def _texts(content: dict[str, Any]) -> dict[str, Any]:
    return {
        "intrinsic": intrinsic_table(content),
        "lengths": length_figures(content),
        "matrices": agreement_matrices(content),
        "agreement": agreement_table(content),
        "consistency": consistency_table(content),
        "consistency_figure": consistency_figure(content),
        "position": position_table(content),
        "positions": position_figures(content),
        "values": _values(content),
        "leak": leak_table(content),
        "leak_figure": leak_figure(content),
        "memorisation": memorisation_table(content),
        "source_looks": source_looks(content),
    }


def _values(content: dict[str, Any]) -> list[tuple[str, list[tuple[str, Any]]]]:
    """(task and field, [(source, distinct and top)]) of the closed fields."""
    found: dict[str, list[tuple[str, Any]]] = {}
    for one in content["intrinsic"]:
        for field, values in (one.get("values") or {}).items():
            name = f"{task_name(one.get('task'))}: {field.replace('_', ' ')}"
            found.setdefault(name, []).append((one["source"], values))
    return list(found.items())


def _examples(content: dict[str, Any]) -> list[dict[str, Any]]:
    titles, looks = arm_titles(content), arm_looks(content)
    return [
        {
            "user": one["user"],
            "history": one.get("history") or [],
            "texts": [
                {
                    "title": titles.get(text["arm"], text["arm"]),
                    "look": looks.get(text["arm"]),
                    "failed": text.get("failed"),
                    "text": beginning(text["text"]) if text.get("text") else None,
                }
                for text in one.get("texts") or []
            ],
        }
        for one in content["examples"]
    ]


def _config_text(config: Any) -> str | None:
    if config is None or isinstance(config, str):
        return config
    dumped: str = yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=100)
    return dumped
