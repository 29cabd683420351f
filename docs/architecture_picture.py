"""Draws docs/images/architecture.svg from the imports of the source: `make architecture`.

Every package is a box, every room (a package inside it) a tile with the first sentence of its docstring behind the
pointer. A package stands above those that it imports, and so does a room inside its package: the layers of the picture
are computed, so that a wrong import moves a tile or cannot be drawn at all.
"""

from __future__ import annotations

import ast
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
SIBLINGS = ("augment", "embed", "recsys", "augrec.report")
LAYERS = (("augrec.cli",), ("augrec.pipeline",), SIBLINGS, ("augrec.artefacts",))
"""Packages from top to bottom; those of a line do not know each other."""
SOURCES = ("augrec", "augment", "embed", "recsys")
WIDTH, MARGIN, PAD = 1240, 20, 14
TILE, GAP, LINE = (118, 30), 8, 17
WIDE = 600
"""A box of this width has room for a sentence beside each tile."""
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2933 } .name { font-weight: 600; font-size: 15px }
.about, .loose { font-size: 11.5px; fill: #52606d } .package { fill: #f5f7fa; stroke: #9aa5b1 }
.room { fill: #fff; stroke: #3e7cb1 } .arrow { stroke: #616e7c; stroke-width: 1.4; fill: none; marker-end: url(#head) }
@media (prefers-color-scheme: dark) {
  text { fill: #e4e7eb } .about, .loose { fill: #9aa5b1 } .package { fill: #1f2933; stroke: #52606d }
  .room { fill: #323f4b; stroke: #7fb2dd } .arrow { stroke: #9aa5b1 }
}
""".strip()


@dataclass(frozen=True)
class Package:
    """A package as it is drawn.

    Attributes:
        name: dotted.
        about: first sentence of its docstring.
        rows: its rooms, those of a row import none of each other and only rooms of rows below.
        loose: modules that lie in no room.
    """

    name: str
    about: str
    rows: list[list[str]]
    loose: list[str]


def picture() -> str:
    """The picture as SVG text.

    Raises:
        ValueError: a package imports one beside or above it, or rooms import each other in a circle.
    """
    graph = grimp.build_graph(*SOURCES, exclude_type_checking_imports=True, cache_dir=None)
    packages = {name: _package(graph, name) for line in LAYERS for name in line}
    arrows = sorted(_arrows(graph))
    body: list[str] = []
    boxes: dict[str, tuple[float, float, float, float]] = {}
    top = MARGIN
    for line in LAYERS:
        width = (WIDTH - 2 * MARGIN - (len(line) - 1) * 2 * PAD) / len(line)
        drawn = [
            _box(packages[name], MARGIN + place * (width + 2 * PAD), top, width) for place, name in enumerate(line)
        ]
        height = max(height for _, height in drawn)
        for place, (name, (svg, _)) in enumerate(zip(line, drawn, strict=True)):
            left = MARGIN + place * (width + 2 * PAD)
            boxes[name] = (left, top, width, height)
            body.append(
                f'<rect class="package" x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" rx="8"/>'
            )
            body += svg
        top += height + 3 * PAD
    lines = [line for above, below in arrows for line in _arrow(boxes[above], boxes[below])]
    head = (
        '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#616e7c"/></marker>'
    )
    size = f'viewBox="0 0 {WIDTH} {top - 2 * PAD:g}" width="{WIDTH}"'
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="Packages of Augrec and their rooms">'
    )
    return "\n".join([opening, f"<style>{STYLE}</style><defs>{head}</defs>", *lines, *body, "</svg>", ""])


def _package(graph: grimp.ImportGraph, name: str) -> Package:
    if (ROOT / f"{name.replace('.', '/')}.py").exists():
        return Package(name, _about(name), [], [])
    children = sorted(graph.find_children(name))
    rooms = [child for child in children if (ROOT / child.replace(".", "/") / "__init__.py").exists()]
    uses = {
        room: {
            other
            for other in rooms
            if other != room
            and graph.direct_import_exists(importer=room, imported=other, as_packages=True)
        }
        for room in rooms
    }  # fmt: skip
    return Package(name, _about(name), list(_rows(uses)), [_short(child) for child in children if child not in rooms])


def _rows(uses: dict[str, set[str]]) -> Iterator[list[str]]:
    """Rooms from the top, each row those that no room below it imports."""
    left = set(uses)
    while left:
        row = sorted(room for room in left if not any(room in uses[other] for other in left))
        if not row:
            raise ValueError(f"these rooms import each other in a circle: {', '.join(sorted(left))}")
        left -= set(row)
        yield row


def _arrows(graph: grimp.ImportGraph) -> Iterator[tuple[str, str]]:
    """Which package imports which; only downwards."""
    level = {name: place for place, line in enumerate(LAYERS) for name in line}
    for above in level:
        for below in level:
            if above == below or not graph.direct_import_exists(importer=above, imported=below, as_packages=True):
                continue
            if level[below] <= level[above]:
                raise ValueError(f"{above} imports {below}, which stands beside or above it")
            yield above, below


def _arrow(above: tuple[float, float, float, float], below: tuple[float, float, float, float]) -> list[str]:
    """From the lower edge of a box to the upper edge of the next layer's; longer ways are left to the layers."""
    left = max(above[0], below[0])
    right = min(above[0] + above[2], below[0] + below[2])
    start, end = above[1] + above[3], below[1]
    if right <= left or end - start > 4 * PAD:
        return []
    middle = (left + right) / 2
    return [f'<path class="arrow" d="M{middle:g} {start:g}V{end - 2:g}"/>']


def _box(package: Package, left: float, top: float, width: float) -> tuple[list[str], float]:
    """The inside of a package's box, and its height."""
    svg, y, inner = [], top + PAD + 10, width - 2 * PAD
    svg.append(_text(left + PAD, y, package.name, "name"))
    for line in textwrap.wrap(package.about, int(inner / 6)):
        y += LINE
        svg.append(_text(left + PAD, y, line, "about"))
    y += PAD
    across = 1 if width > WIDE else max(1, int((inner + GAP) // (TILE[0] + GAP)))
    for row in package.rows:
        for start in range(0, len(row), across):
            for place, room in enumerate(row[start : start + across]):
                svg += _tile(room, left + PAD + place * (TILE[0] + GAP), y)
                if width > WIDE:
                    svg.append(_text(left + PAD + TILE[0] + 2 * GAP, y + 19, _about(room), "about"))
            y += TILE[1] + GAP
        y += 0 if width > WIDE else GAP / 2
    for line in textwrap.wrap(", ".join(package.loose), int(inner / 6)):
        y += LINE - 3
        svg.append(_text(left + PAD, y, line, "loose"))
    return svg, y + PAD - top


def _tile(room: str, left: float, top: float) -> list[str]:
    rect = f'<rect class="room" x="{left:g}" y="{top:g}" width="{TILE[0]}" height="{TILE[1]}" rx="5"/>'
    return [
        f"<g><title>{escape(f'{room}: {_about(room)}')}</title>{rect}{_text(left + 10, top + 20, _short(room))}</g>"
    ]


def _text(x: float, y: float, words: str, kind: str = "") -> str:
    return f'<text {f"class={chr(34)}{kind}{chr(34)} " if kind else ""}x="{x:g}" y="{y:g}">{escape(words)}</text>'


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _about(name: str) -> str:
    """The first sentence of a module's docstring."""
    path = ROOT / name.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    words = " ".join((ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").split())
    return words.partition(". ")[0].rstrip(".")


def main() -> None:
    """Writes the picture."""
    sys.path.insert(0, str(ROOT))  # the source beside this file, whatever else is installed
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
