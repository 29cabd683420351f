"""What the documents say can be done: every command, option, make target, file and key of a config in them exists.

Commands are checked against the program's own parser here, and run by `tests/augrec/test_documented_commands.py`. Links
between pages are followed, with their anchors.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml

from augrec.pipeline.schema import config_schema
from augrec.pipeline.studies.search.spaces import Space
from docs import reference

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
SHELL = ("console", "bash", "sh", "")
PROGRAM = re.compile(r"(augrec|make|slurm/submit\.sh) ")
"""What the lines of a block without a language have to begin with to be commands."""
COMMANDS = dict(reference.commands())
ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")


def blocks(path: Path, *languages: str) -> Iterator[str]:
    """The fenced blocks of these languages."""
    for _, text in blocks_by_language(path, *languages):
        yield text


def blocks_by_language(path: Path, *languages: str) -> Iterator[tuple[str, str]]:
    for language, text in FENCE.findall(path.read_text(encoding="utf-8")):
        if language in languages:
            yield language, dedent(text)


def command_lines(path: Path) -> Iterator[list[str]]:
    """The commands of a document's shell blocks as words: continued lines joined, parts of a list of commands apart.

    Of a block that shows what is printed, too, commands are the lines behind a `$`; of one without a language, those
    that begin with a `PROGRAM`.
    """
    for language, block in blocks_by_language(path, *SHELL):
        lines = block.replace("\\\n", " ").splitlines()
        typed = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        for line in typed or [line for line in lines if language or PROGRAM.match(line)]:
            for part in re.split(r"&&|;|\|(?![^\[]*\])", re.sub(r"(^|\s)#.*", "", line)):
                words = words_of(part)
                while words and ASSIGNMENT.fullmatch(words[0]):
                    words = words[1:]
                if words:
                    yield words


def words_of(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # a quotation that goes on in the next line
        return command.split()


def unknown(words: list[str]) -> list[str]:
    """What of a command does not exist."""
    name = words[0].rpartition("/")[2]
    if name == "augrec":
        return unknown_to_augrec(words[1:])
    if name == "submit.sh":
        return unknown_to_augrec(["submit", *words[1:]])
    if name == "make":
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
        return [
            f"make {word}" for word in words[1:] if "=" not in word and not word.startswith("-") and word not in targets
        ]
    if words[1:2] == ["-m"] and words[2].startswith(("benchmarks.", "tests.")):
        path = ROOT / words[2].replace(".", "/")
        return [] if path.with_suffix(".py").exists() or path.is_dir() else [words[2]]
    return []


def unknown_to_augrec(words: list[str]) -> list[str]:
    """A command that is none, or options that it does not take, or a shipped config that is not there."""
    if not words or words[0].startswith("-") or words[0].isupper():
        return []
    path = next((tuple(words[:n]) for n in (2, 1) if tuple(words[:n]) in COMMANDS), None)
    if path is None:
        return [f"augrec {words[0]}"]
    known = {option for parameter in COMMANDS[path].params for option in (*parameter.opts, *parameter.secondary_opts)}
    given = (word.strip("[]") for word in words[len(path) :])  # what may be left out stands in brackets
    options = [word.partition("=")[0] for word in given if word.startswith("--")]
    wrong = [option for option in options if option not in known and option != "--help"]
    named = [ROOT / word for word in words if word.startswith("configs/")]
    files = [path.name for path in named if path.parent.is_dir() and not path.exists()]  # others are a reader's own
    return [f"augrec {' '.join(path)} {one}" for one in (*wrong, *files)]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_exists_with_its_options(path: Path) -> None:
    assert [(" ".join(words), wrong) for words in command_lines(path) if (wrong := unknown(words))] == []


@pytest.mark.parametrize(
    "line",
    [
        "augrec runn x",
        "augrec run x --forse a",
        "augrec export records RUN DIR [--sorce NAME]",
        "augrec run configs/none.yaml",
        "make nothing",
        "python -m benchmarks.none",
    ],
)
def test_what_does_not_exist_is_found(line: str) -> None:
    assert len(unknown(line.split())) == 1


SCHEMAS = {kind: config_schema(kind) for kind in reference.KINDS}


def unknown_keys(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], where: str = "") -> list[str]:
    """The dotted keys of a value that a schema does not know; of several alternatives, those of the best one."""
    if "$ref" in schema:
        return unknown_keys(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root, where)
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return min((unknown_keys(value, one, root, where) for one in schema[union]), key=len)
    if isinstance(value, Mapping) and schema.get("type", "object") != "object":
        return [f"{where.rstrip('.')} is no section"] * (1 + len(value))
    if isinstance(value, Mapping):
        known, others = schema.get("properties", {}), schema.get("additionalProperties", "properties" not in schema)
        wrong = []
        for key, inner in value.items():
            if key in known:
                wrong += unknown_keys(inner, known[key], root, f"{where}{key}.")
            elif others is False or (known and others is not True and not isinstance(others, Mapping)):
                wrong.append(f"{where}{key}")
            elif isinstance(others, Mapping):
                wrong += unknown_keys(inner, others, root, f"{where}{key}.")
        return wrong
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        return [key for one in value for key in unknown_keys(one, schema["items"], root, where)]
    return []


def configs(path: Path) -> Iterator[dict[str, Any]]:
    for block in blocks(path, "yaml"):
        content = yaml.safe_load(block)
        if isinstance(content, dict):
            yield content


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_key_of_a_config_exists(path: Path) -> None:
    """A block is a whole config, a section of one, or a search space; all its keys stand in one place of a schema."""
    places = [
        (one, root)
        for root in (*SCHEMAS.values(), Space.model_json_schema())
        for one in (root, *root["$defs"].values())
        if "properties" in one
    ]
    wrong = []
    for content in configs(path):
        wrong.append(min((unknown_keys(content, schema, root) for schema, root in places), key=len))
    assert [keys for keys in wrong if keys] == []


def test_keys_that_do_not_exist_are_found() -> None:
    run = SCHEMAS["run"]
    content = {
        "dataset": {"k_cor": 5},
        "generation": {"sources": {"a": {"engine": {"kind": "vllm", "modell": "x"}}}},
        "sed": 1,
    }
    assert sorted(unknown_keys(content, run, run)) == ["dataset.k_cor", "generation.sources.a.engine.modell", "sed"]


def anchors(path: Path) -> set[str]:
    """What the headings of a page are called in links."""
    titles = re.findall(r"^#+ (.+)$", re.sub(FENCE, "", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    """In the repository, too, where nothing was made: pages that only the site has are named, and no link's target."""
    text = re.sub(FENCE, "", path.read_text(encoding="utf-8"))
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        name, _, anchor = target.partition("#")
        if re.match(r"https?:", target):
            continue
        there = (path.parent / name).resolve() if name else path
        if (
            not there.exists()
            or there.is_relative_to(ROOT / "docs" / "reference")
            or (anchor and there.suffix == ".md" and anchor not in anchors(there))
        ):
            broken.append(target)
    assert broken == []


def test_the_reference_has_every_key_and_every_command() -> None:
    pages = reference.pages()
    for kind, schema in SCHEMAS.items():
        shown = set(re.findall(r"^\| `(\w+)` \|", pages[f"config-{kind}.md"], re.MULTILINE))
        definitions = [schema, *schema["$defs"].values()]
        assert {key for one in definitions for key in one.get("properties", {})} == shown
    for path in COMMANDS:
        assert f"## augrec {' '.join(path)}\n" in pages["commands.md"]
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert {f"reference/{name}" for name in pages} <= set(re.findall(r"\S+\.md", navigation))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= set(re.findall(r"\S+\.md", navigation))
