"""Writes the pages of the site that are made from the code: every key of a config, every command, and the glossary.

    python docs/reference.py FOLDER

They are made whenever the site is built (`make docs`) and are in no commit, so that they cannot be out of date.
"""

from __future__ import annotations

import html
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from typer.main import get_command

from augrec.cli import app
from augrec.pipeline.schema import config_schema
from augrec.report.render.glossary import TERMS

Schema = Mapping[str, Any]
KINDS = {"run": "A run", "experiment": "An experiment", "compare": "A comparison"}


def pages() -> dict[str, str]:
    """File name -> Markdown."""
    configs = {f"config-{kind}.md": config_page(kind, title) for kind, title in KINDS.items()}
    return {**configs, "commands.md": commands_page(), "glossary.md": glossary_page()}


def config_page(kind: str, title: str) -> str:
    """Every key that a kind of config may have: what it takes, what it is without being given, and what it means."""
    schema = config_schema(kind)
    parts = [
        f"# {title}: every key of the config",
        f"Made from the program (`augrec schema {kind}` has the same for editors). A key that is not here is an error.",
        *_section(kind, schema, schema),
    ]
    for name, definition in sorted(schema["$defs"].items()):
        if "properties" in definition:
            parts += [f"## {name} {{#{_anchor(name)}}}", *_section(name, definition, schema)]
    return "\n\n".join(parts) + "\n"


def _section(name: str, definition: Schema, schema: Schema) -> Iterator[str]:
    if text := definition.get("description"):
        yield _prose(text)
    required = set(definition.get("required", ()))
    rows = ["| key | takes | without it | what it is |", "|---|---|---|---|"]
    for key, field in definition.get("properties", {}).items():
        default = "required" if key in required else f"`{json.dumps(field.get('default'))}`"
        if "default" not in field and key not in required:
            default = "its own defaults"
        rows.append(f"| `{key}` | {_type(field)} | {_cell(default)} | {_cell(_prose(field.get('description', '')))} |")
    yield "\n".join(rows)


def _type(field: Schema) -> str:
    """What a key takes, in words; sections are links."""
    if reference := field.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{_anchor(name)})"
    for union in ("anyOf", "oneOf", "allOf"):
        if union in field:
            return " or ".join(dict.fromkeys(_type(one) for one in field[union]))
    if "enum" in field or "const" in field:
        return " or ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}" if "items" in field else "list"
    if field.get("type") == "object":
        inner = field.get("additionalProperties")
        return f"mapping to {_type(inner)}" if isinstance(inner, Mapping) and inner else "mapping"
    names = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true` or `false`"}
    shown = names.get(str(field.get("type")), "nothing" if field.get("type") == "null" else "any value")
    bounds = [
        f"{sign} {field[key]}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in field
    ]
    return f"{shown} {', '.join(bounds)}" if bounds else shown


def commands_page() -> str:
    """Every command with its arguments and options, as `--help` has them."""
    parts = ["# Commands", "Made from the program: what `augrec COMMAND --help` says."]
    for path, command in commands():
        parts.append(f"## augrec {' '.join(path)}")
        parts.append(_prose(command.help or ""))
        rows = []
        for parameter in command.params:
            if not getattr(parameter, "hidden", False) and parameter.name != "help":
                option = parameter.param_type_name == "option"
                named = parameter.opts if option else [str(parameter.name).upper()]
                rows.append(f"| `{' '.join(named)}` | {_cell(_prose(getattr(parameter, 'help', '') or ''))} |")
        if rows:
            parts.append("\n".join(["| | |", "|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that call it."""
    todo: list[tuple[tuple[str, ...], Any]] = [((), get_command(app))]
    while todo:
        path, command = todo.pop(0)
        if hasattr(command, "commands"):  # a group; typer's own copy of click has other classes
            todo += [((*path, name), sub) for name, sub in command.commands.items()]
        else:
            yield path, command


def glossary_page() -> str:
    """The words that every report explains."""
    rows = [f"**{term}**\n:   {_prose(meaning)}" for term, meaning in TERMS]
    return "# Glossary\n\nThe words of the pages; each page explains them, too.\n\n" + "\n\n".join(rows) + "\n"


def _anchor(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower())


def _prose(text: str) -> str:
    """Text of the code as Markdown that shows it: what looks like HTML is text, but for what stands as code."""
    parts = " ".join(text.split()).split("`")
    return "`".join(part if n % 2 else html.escape(part, quote=False) for n, part in enumerate(parts))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(folder: Path) -> None:
    """Writes the pages into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
