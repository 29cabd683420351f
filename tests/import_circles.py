"""No module of the project imports itself through others: `python -m tests.import_circles` (part of `make style`).

Nor does a room of a package, which is a module or a package directly inside of it. Imports inside functions count,
those for type checkers alone do not: they never run. That a package's `__init__` runs when one of its modules is
imported is no import of the package.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import augrec
from augrec.pipeline.identity.import_closure import PACKAGES, imports_of

Graph = Mapping[str, Sequence[str]]


def project_modules(root: Path) -> Iterator[str]:
    """The dotted names of all modules of the project."""
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            yield ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def room_graphs(graph: Graph) -> Iterator[Graph]:
    """For each package, which of its rooms import which."""
    for package in sorted({name.rpartition(".")[0] for name in graph} - {""}):
        inside, depth = f"{package}.", package.count(".") + 2
        rooms: dict[str, set[str]] = {}
        for module in (module for module in graph if module.startswith(inside)):
            room = _room(module, depth)
            others = {_room(name, depth) for name in graph[module] if name.startswith(inside)}
            rooms.setdefault(room, set()).update(others - {room})
        yield {room: sorted(others) for room, others in rooms.items()}


def _room(module: str, depth: int) -> str:
    return ".".join(module.split(".")[:depth])


def shortest_circle(graph: Graph) -> list[str] | None:
    """The modules of the shortest circle, beginning and ending with the same one; None where there is none."""
    circles = [circle for module in graph if (circle := _way_back(graph, module)) is not None]
    return min(circles, key=lambda circle: (len(circle), circle), default=None)


def _way_back(graph: Graph, module: str) -> list[str] | None:
    """The shortest way along imports from a module to itself."""
    came_from: dict[str, str] = {}
    waiting = deque([module])
    while waiting:
        importer = waiting.popleft()
        for imported in graph.get(importer, ()):
            if imported == module:
                way = [importer]
                while way[-1] != module:
                    way.append(came_from[way[-1]])
                return [*reversed(way), module]
            if imported not in came_from:
                came_from[imported] = importer
                waiting.append(imported)
    return None


def main() -> int:
    """Prints the shortest circle there is; the exit code."""
    root = Path(augrec.__file__).parent.parent
    graph = {module: imports_of(module) for module in project_modules(root)}
    circles = [circle for one in (graph, *room_graphs(graph)) if (circle := shortest_circle(one)) is not None]
    if not circles:
        print(f"no circle among the imports of {len(graph)} modules, and none among the rooms of a package")
        return 0
    listed = " ->\n  ".join(circles[0])
    print(f"these import each other in a circle:\n  {listed}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
