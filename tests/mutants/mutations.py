"""Small faults planted in a module's source, one at a time: the mutants that its tests should notice."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Edit = Callable[[], Callable[[], None]]
"""Plants one fault in the tree and returns what takes it out again."""

SWAPPED: dict[type, type] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
RENAMED = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "sorted": "list",
    "cumsum": "cumprod",
    "minimum": "maximum",
    "maximum": "minimum",
    "union1d": "intersect1d",
    "intersect1d": "union1d",
}
"""Functions and methods that are easily confused."""


@dataclass(frozen=True)
class Mutant:
    """One fault in one module.

    Args:
        module: dotted name.
        function: qualified name of the function or class around it, "" at module level.
        line: of the original source, from 1.
        before, after: the line without and with the fault, in the layout of `ast.unparse`.
        source: the whole module with it.
    """

    module: str
    function: str
    line: int
    before: str
    after: str
    source: str

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Names the fault whatever the line it stands in."""
        return self.module, self.function, self.before, self.after


def mutants(module: str, source: str) -> Iterator[Mutant]:
    """Every mutant of a module, in the order of its source; none in docstrings, annotations, messages of errors."""
    tree = ast.parse(source)
    sound = ast.unparse(tree).splitlines()
    for function, node in _places(tree, ""):
        for edit in _edits(node):
            undo = edit()
            whole = ast.unparse(tree)
            undo()
            changed = next((pair for pair in zip(sound, whole.splitlines(), strict=True) if pair[0] != pair[1]), None)
            if changed is not None:
                before, after = (line.strip() for line in changed)
                yield Mutant(module, function, node.lineno, before, after, whole)


def _places(node: ast.AST, function: str) -> Iterator[tuple[str, Any]]:
    """The statements and expressions in which a fault may be planted, with the function around them."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        function = f"{function}.{node.name}".lstrip(".")
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if (
                not isinstance(child, ast.AST)
                or isinstance(child, ast.Raise | ast.JoinedStr)
                or _is_no_behaviour(child)
            ):
                continue
            if isinstance(child, ast.stmt | ast.expr):
                yield function, child
            yield from _places(child, function)


def _is_no_behaviour(node: ast.AST) -> bool:
    """Imports for the type checker, and the check of zip that nothing is left over."""
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.keyword(arg="strict"):
            return True
    return False


def _edits(node: ast.AST) -> Iterator[Edit]:
    match node:
        case ast.Compare():
            for index, operator in enumerate(node.ops):
                if type(operator) in SWAPPED:
                    yield _item(node.ops, index, SWAPPED[type(operator)]())
        case ast.BinOp() | ast.BoolOp() | ast.AugAssign() if type(node.op) in SWAPPED:
            yield _field(node, "op", SWAPPED[type(node.op)]())
        case ast.UnaryOp(op=ast.Not()):
            yield _field(node, "operand", ast.UnaryOp(ast.Not(), node.operand))
        case ast.UnaryOp(op=ast.USub()):
            yield _field(node, "op", ast.UAdd())
        case ast.Constant(value=bool(value)):
            yield _field(node, "value", not value)
        case ast.Constant(value=int(value)):
            yield _field(node, "value", value + 1)
        case ast.Constant(value=float(value)):
            yield _field(node, "value", value * 2 if value else 1.0)
        case ast.If() | ast.IfExp() | ast.While() if not isinstance(node.test, ast.Compare | ast.UnaryOp | ast.BoolOp):
            yield _field(node, "test", ast.UnaryOp(ast.Not(), node.test))
        case ast.Call(func=ast.Name(id=name)) if name in RENAMED:
            yield _field(node.func, "id", RENAMED[name])
        case ast.Call(func=ast.Attribute(attr=name)) if name in RENAMED:
            yield _field(node.func, "attr", RENAMED[name])
        case ast.Expr(value=ast.Call()):
            yield _field(node, "value", ast.Constant(None))


def _field(node: ast.AST, name: str, value: Any) -> Edit:
    def edit() -> Callable[[], None]:
        old = getattr(node, name)
        setattr(node, name, value)
        return lambda: setattr(node, name, old)

    return edit


def _item(values: list[Any], index: int, value: Any) -> Edit:
    def edit() -> Callable[[], None]:
        old = values[index]
        values[index] = value

        def undo() -> None:
            values[index] = old

        return undo

    return edit
