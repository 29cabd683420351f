"""The identity of the code behind a result: what a stage's fingerprint holds of its own implementation."""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@cache
def code_identity(packages: tuple[str, ...]) -> str:
    """The sha256 over the meaning of every source file of some packages.

    Comments, docstrings and layout do not count: a stage is run again because its code changed, not because its
    explanation did. Templates count byte for byte.

    Args:
        packages: dotted names of packages or modules, e.g. ("recsys.data", "artefacts").
    """
    total = hashlib.sha256()
    for path in sorted({file for package in packages for file in _files(package)}):
        content = path.read_bytes()
        total.update(path.name.encode())
        total.update(_meaning(content) if path.suffix == ".py" else content)
    return total.hexdigest()


def _files(package: str) -> list[Path]:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(package)
    origin = Path(spec.origin)
    if not spec.submodule_search_locations:
        return [origin]
    return [path for path in origin.parent.rglob("*") if path.suffix in (".py", ".j2", ".css", ".js", ".toml")]


def _meaning(source: bytes) -> bytes:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [statement for statement in node.body if not _is_docstring(statement)]
    return ast.dump(tree).encode()


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
