"""Which of the project's source files can run when some modules do: their import closure, read from the source.

Imports are taken from the syntax tree, those inside functions too; those under `if TYPE_CHECKING` are not, because they
never run. A registry names every model, reader or task there is, and a run uses a few of them: its table and the
imports that fill it are not followed, and whoever uses an entry names the entry's own module (`REGISTRIES`). Modules
that say who does a piece of work, or that hold values which are identified as values, are left out (`NOT_COUNTED`).
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from augrec.artefacts.confinement import confined
from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import read_json, write_json
from augrec.pipeline.weights.resolve import cache_folder

PACKAGES = ("augrec", "augment", "embed", "recsys")
"""The top-level packages of the project; others are libraries. Those of the entries count as well."""
REGISTRIES = frozenset(
    {
        "augment.engines.registry",
        "augment.tasks",
        "augrec",
        "augrec.pipeline.stages",
        "recsys.aligners.registry",
        "recsys.data.formats",
        "recsys.models.registry",
    }
)
"""Modules whose table names every entry. Their functions and classes count, with the imports inside these; the table
and the imports at the top do not."""
NOT_COUNTED = {
    "augrec.pipeline.identity.code_identity": "makes identities, no outputs",
    "augrec.pipeline.config.run_config": "what a config says is identified by its values",
    "augrec.pipeline.config.sections": "reads them; the values count",
}
"""Modules that are neither followed nor hashed, each with the reason."""
OFFERED = "shipped"
"""The folder of configs and profiles that users copy. What one says counts where it is run: a comment in one of them is
no other code of every training."""
DATA_SUFFIXES = (".css", ".j2", ".js", ".json", ".toml", ".yaml")
_FORMAT = f"1:{sys.version_info.major}.{sys.version_info.minor}"  # the syntax tree is the interpreter's
_MOST_REMEMBERED = 5000


@dataclass(frozen=True)
class Source:
    """What counts of one source file.

    Attributes:
        meaning: sha256 of its syntax tree without docstrings; comments and layout are not in it.
        imports: [level, module, names] of every import that can run; level 0 is absolute.
        names: strings that end like the name of a data file, e.g. "report.css".
    """

    meaning: str
    imports: list[list[Any]]
    names: list[str]


@dataclass(frozen=True)
class Closure:
    """Modules by name with what counts of each, and the data files that they name."""

    modules: dict[str, Source]
    data: dict[str, Path]
    """Files such as templates by `package/path`, e.g. `augment.prompts/line.j2`."""


def import_closure(entries: Iterable[str]) -> Closure:
    """All modules of the project that the entries reach by imports, and the data files beside them that they name.

    A package's `__init__` counts where one of its modules does. Data files that are named by another one (a template
    that includes a template) count too.

    Args:
        entries: dotted names of modules.

    Raises:
        ModuleNotFoundError: an entry is no module.
    """
    waiting = list(entries)
    roots = {*PACKAGES, *(entry.partition(".")[0] for entry in waiting)}
    for entry in waiting:
        if _file(entry) is None:
            raise ModuleNotFoundError(entry)
    modules: dict[str, Source] = {}
    files: dict[str, Path] = {}
    while waiting:
        name = waiting.pop()
        path = _file(name) if name.partition(".")[0] in roots else None
        if path is None or name in modules or name in NOT_COUNTED:
            continue
        files[name] = path
        modules[name] = _source(path, registry=name in REGISTRIES)
        waiting += _with_packages(name)
        for level, module, names in modules[name].imports:
            base = ".".join(part for part in (_above(name, path, level), module) if part)
            waiting += [found for one in names for found in _with_packages(f"{base}.{one}")] or _with_packages(base)
    _memory().save()
    return Closure(dict(sorted(modules.items())), _data_files(modules, files))


def imports_of(module: str) -> list[str]:
    """The project's modules that a module imports, at the top or inside functions, in order of their names.

    Raises:
        ModuleNotFoundError: there is no such module.
    """
    path = _file(module)
    if path is None:
        raise ModuleNotFoundError(module)
    found: set[str] = set()
    for level, name, names in _source(path, registry=False).imports:
        base = ".".join(part for part in (_above(module, path, level), name) if part)
        if base.partition(".")[0] not in PACKAGES:
            continue
        inner = {f"{base}.{part}" for part in names}
        modules = {part for part in inner if _file(part) is not None}
        found |= modules if modules == inner and inner else modules | {base}
    return sorted(name for name in found if _file(name) is not None)


def _with_packages(name: str) -> list[str]:
    """`a.b.c` -> a, a.b, a.b.c: importing a module runs the packages above it."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]


def _above(name: str, path: Path, level: int) -> str:
    """The package that a relative import of a level starts from; nothing for an absolute one."""
    if level == 0:
        return ""
    parts = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    return ".".join(parts[: len(parts) - level + 1])


@cache
def _root(package: str) -> Path | None:
    """The folder of a top-level package, or the file of a top-level module; nothing is imported.

    All finders are asked: an editable install need not be on the path.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)


@cache
def _file(module: str) -> Path | None:
    """The source file of a module, or None where there is no such module."""
    top, *rest = module.split(".")
    root = _root(top)
    if root is None or (rest and root.is_file()):
        return None
    if root.is_file():
        return root
    package, plain = root.joinpath(*rest) / "__init__.py", root.joinpath(*rest).with_suffix(".py")
    return package if package.is_file() else plain if rest and plain.is_file() else None


def _data_files(modules: dict[str, Source], files: dict[str, Path]) -> dict[str, Path]:
    """Data files beside the modules (and below, in folders that are no packages) that a module or such a file names."""
    folders = {
        path.parent: name if path.name == "__init__.py" else name.rpartition(".")[0] for name, path in files.items()
    }
    beside = {
        f"{package}/{path.relative_to(folder).as_posix()}": path
        for folder, package in folders.items()
        for path in _data_below(folder)
    }
    named = {name for source in modules.values() for name in source.names}
    chosen: dict[str, Path] = {}
    while True:
        more = {key: path for key, path in beside.items() if key not in chosen and path.name.endswith(tuple(named))}
        if not more:
            return dict(sorted(chosen.items()))
        chosen |= more
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in more.values()]
        named |= {path.name for path in beside.values() if any(_quotes(text, path.name) for text in texts)}


def _quotes(text: str, name: str) -> bool:
    return f'"{name}"' in text or f"'{name}'" in text


@cache
def _data_below(folder: Path) -> tuple[Path, ...]:
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.name == OFFERED:
            continue
        if path.is_dir() and not path.name.startswith((".", "__")) and not (path / "__init__.py").exists():
            found += _data_below(path)
        elif path.suffix in DATA_SUFFIXES:
            found.append(path)
    return tuple(found)


@cache
def _source(path: Path, *, registry: bool) -> Source:
    """What counts of a file, remembered by its content: parsing the whole project takes seconds.

    A process reads each file once: its stages and trainings share most of them.
    """
    content = path.read_bytes()
    key = f"{_FORMAT}:{'registry' if registry else 'module'}:{hashlib.sha256(content).hexdigest()}"
    memory = _memory()
    if key not in memory.known:
        memory.known[key] = asdict(_parsed(content, registry=registry))
        memory.changed = True
    return Source(**memory.known[key])


def _parsed(content: bytes, *, registry: bool) -> Source:
    tree = ast.parse(content)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [statement for statement in node.body if not _is_docstring(statement)]
    if registry:
        kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        tree.body = [statement for statement in tree.body if isinstance(statement, kinds)]
    nodes = list(_running(tree))
    strings = (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return Source(
        hashlib.sha256(ast.dump(tree).encode()).hexdigest(),
        [found for node in nodes for found in _imports(node)],
        sorted({text for text in strings if text.endswith(DATA_SUFFIXES) and not text.isspace() and " " not in text}),
    )


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below, without what only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from child.orelse
            for other in child.orelse:
                yield from _running(other)
            continue
        yield child
        yield from _running(child)


def _imports(node: ast.AST) -> list[list[Any]]:
    """[level, module, names] of an import statement, or of `import_module` with a name written out."""
    if isinstance(node, ast.Import):
        return [[0, alias.name, []] for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [[node.level, node.module or "", [alias.name for alias in node.names]]]
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
        name = node.args[0]
        if isinstance(name, ast.Constant) and isinstance(name.value, str) and not name.value.startswith("."):
            return [[0, name.value, []]]
    return []


class _Memory:
    """What was parsed before, by content; a file in the cache folder that may be lost at any time."""

    def __init__(self, path: Path) -> None:
        self.path, self.changed = path, False
        self.known: dict[str, dict[str, Any]] = {}
        with suppress(AugrecError, OSError):
            stored = read_json(path)
            if isinstance(stored, dict):
                self.known = {key: value for key, value in stored.items() if _is_stored(key, value)}

    def save(self) -> None:
        """Writes what is new; a folder that cannot be written costs time, not correctness."""
        if self.changed:
            kept = dict(list(self.known.items())[-_MOST_REMEMBERED:])
            with suppress(AugrecError, OSError), confined(self.path.parent):  # the cache is no part of a run
                write_json(self.path, kept)
        self.changed = False


def _is_stored(key: str, value: Any) -> bool:
    return key.startswith(f"{_FORMAT}:") and isinstance(value, dict) and value.keys() == {"meaning", "imports", "names"}


@cache
def _memory_at(path: Path) -> _Memory:
    return _Memory(path)


def _memory() -> _Memory:
    return _memory_at(cache_folder() / "code.json")


def forget() -> None:
    """Forgets where files lie and what was read and parsed; the file in the cache folder stays."""
    for cached in (_root, _file, _source, _data_below, _memory_at):
        cached.cache_clear()
