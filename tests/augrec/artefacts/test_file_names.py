"""What a file of a run or a study is called, and where it lies, is said in the modules of folders and nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("augrec", "augment", "embed", "recsys", "benchmarks")
FOLDERS = tuple(ROOT / "augrec" / "artefacts" / f"{name}_folder.py" for name in ("run", "base", "source", "study"))
OTHERS = {
    "augrec/artefacts/model_files.py": {"model.safetensors"},  # of Hugging Face's folders of weights
    "augrec/artefacts/tune_folder.py": {"number_format.json"},  # the trainer's, beside that of a source's engine
}
"""Files of somebody else's, or of another folder, that are called the same."""


def pattern(node: ast.expr) -> str | None:
    """A string or an f-string as a pattern, with `*` for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "*" for part in node.values)
        return "".join(str(part) for part in parts)
    return None


def joined(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """The right side of every `path / "name"`, and the line it stands in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and (name := pattern(node.right)):
            yield name, node.lineno


def own_names() -> set[str]:
    """Every name that a module of folders gives a file or a folder, with `*` for numbers and names."""
    names: set[str] = set()
    for path in FOLDERS:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names |= {name for name, _ in joined(tree)}
        names |= {
            text
            for node in tree.body
            if isinstance(node, ast.Assign)
            for part in ast.walk(node.value)
            if isinstance(part, ast.expr) and (text := pattern(part)) and not text.startswith("seed-(")
        }
    return {name for name in names if name.strip("*")}


def is_file(name: str) -> bool:
    return "*" not in name and "." in name.lstrip(".")


def said_elsewhere(source: str, names: set[str]) -> list[tuple[int, str]]:
    """The lines in which a source joins a name of ours to a path, or writes the name of a file of ours."""
    tree = ast.parse(source)
    files = {name for name in names if is_file(name)}
    telling = {name for name in names if name not in ("*.json", "*.jsonl", "*.lock", "*.sbatch")}  # may be anything
    found = {(line, name) for name, line in joined(tree) if any(fnmatchcase(name, own) for own in telling)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
            text = node.value
            if text in files or any(text.endswith(f"/{name}") for name in files):
                found.add((node.lineno, text))
    return sorted(found)


def test_the_modules_of_folders_say_the_names_of_the_documentation() -> None:
    assert {
        "stage.json",
        "metrics.json",
        "records.parquet",
        "jobs.json",
        "best.json",
        "seed-*",
        "trial-*",
    } <= own_names()
    assert {"layout.json", ".lock", "slurm", "exits.tsv", "experiment.yaml", "compare.json"} <= own_names()


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ('path = run / "train" / f"seed-{n}"', ["seed-*", "train"]),
        ('marker = folder / "stage.json"', ["stage.json", "stage.json"]),
        ('list(run.glob("*/*/records.parquet"))', ["*/*/records.parquet"]),
        ('name = "metrics.json"', ["metrics.json"]),
        ('folder / "my.json"; "see metrics.json"', []),
    ],
)
def test_a_name_joined_by_hand_is_found(source: str, names: list[str]) -> None:
    assert sorted({name for _, name in said_elsewhere(source, own_names())}) == sorted(set(names))


def test_nobody_else_joins_the_names_of_files() -> None:
    names, wrong = own_names(), []
    for path in (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))):
        if path in FOLDERS:
            continue
        place = path.relative_to(ROOT).as_posix()
        allowed = OTHERS.get(place, set())
        found = said_elsewhere(path.read_text(encoding="utf-8"), names)
        wrong += [f"{place}:{line}: {name!r}" for line, name in found if name not in allowed]
    assert not wrong, "ask RunFolder, SourceFolder or a folder of a study instead:\n" + "\n".join(wrong)
