"""The shell of every page: one environment with escaping, one style sheet, one script, one content security policy.

A page is a template that extends `shell.html.j2` and fills its block `content`:

    html = page("results.html.j2", HERE, Head("Results", sections=(("main", "Main"),)), {"main": table})

Templates have `show(table)` for a `render.tables.Table`, `w` for the functions of `render.wording`, and the macros of
`macros.html.j2`. A page needs no network and no script: the script adds sorting, filtering and copying. Tables
whose files lie beside the page are linked to them (`tables/NAME.csv`, `.md`, `.tex`).
"""

from __future__ import annotations

import base64
import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from augrec.artefacts.files import write_text
from augrec.artefacts.visible import shown
from augrec.report.render import wording
from augrec.report.render.tables import Table
from augrec.report.render.text_tables import MARKS, csv, latex, markdown

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Head:
    """What stands above the sections of a page.

    Attributes:
        title: the heading.
        kicker: a line above it, e.g. the data set.
        lead: what was found, in one sentence.
        evidence: the numbers behind the lead.
        findings: further sentences.
        family: which comparisons the p-values of the page are corrected over.
        words: the verdicts, and what each means.
        sections: (id, name) of the sections that can be gone to.
    """

    title: str
    kicker: str = ""
    lead: str = ""
    evidence: str = ""
    findings: Sequence[str] = ()
    family: str = ""
    words: Sequence[tuple[str, str]] = ()
    sections: Sequence[tuple[str, str]] = ()


def page(
    template: str,
    folder: Path,
    head: Head,
    content: dict[str, Any],
    *,
    styles: Sequence[Path] = (),
    scripts: Sequence[Path] = (),
    tables: list[Table] | None = None,
) -> str:
    """The whole page as HTML. All text is escaped, and what acts unseen in it is shown.

    Args:
        template: the name of a template that extends the shell.
        folder: where it lies, with those that it includes.
        head: what stands above the sections.
        content: what the template is given.
        styles, scripts: files that are added to those of every page.
        tables: is given every table that the page shows and links to, for `write_tables` or `add_tables`; None: none is
            linked.
    """
    environment = environment_of(folder, tables=tables)
    style, script = (
        "".join(path.read_text(encoding="utf-8") for path in files)
        for files in ((HERE / "report.css", *styles), (HERE / "report.js", *scripts))
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = [
        "default-src 'none'", "style-src 'unsafe-inline'",
        f"script-src 'sha256-{digest}'", "base-uri 'none'", "form-action 'none'",
    ]  # fmt: skip
    return environment.get_template(template).render(
        content, head=head, style=Markup(style), script=Markup(script), policy=Markup("; ".join(policy))
    )


def write_tables(folder: Path, tables: Sequence[Table], of: str = "") -> None:
    """Writes every table as CSV, Markdown and LaTeX into a folder, in place of what was there.

    Args:
        folder: the folder.
        tables: its tables.
        of: the run or study that they are of, for their labels in LaTeX.
    """
    shutil.rmtree(folder, ignore_errors=True)
    add_tables(folder, tables, of)


def add_tables(folder: Path, tables: Sequence[Table], of: str = "") -> None:
    """Writes every table as CSV, Markdown and LaTeX beside what is in a folder; see `write_tables`."""
    for one in tables:
        for suffix, text in {"csv": csv(one), "md": f"{markdown(one)}\n", "tex": latex(one, of)}.items():
            write_text(folder / f"{one.name}.{suffix}", text)


def environment_of(*folders: Path, tables: list[Table] | None = None) -> Environment:
    """An environment for the templates of some folders and of this one."""
    environment = Environment(
        loader=FileSystemLoader([*folders, HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    environment.globals |= {"w": wording, "marks": MARKS, "show": partial(_show, environment, tables)}
    return environment


def show(table: Table | None) -> Markup:
    """A table as HTML, with its notes below; nothing for none."""
    return _show(environment_of(), None, table)


def _show(environment: Environment, linked: list[Table] | None, table: Table | None) -> Markup:
    if table is not None and linked is not None:
        linked.append(table)
    return Markup(environment.get_template("table.html.j2").render(table=table, linked=linked is not None))
