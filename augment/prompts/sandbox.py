"""Templates of somebody else: they read the values they are given, call no code of ours, and end soon.

Jinja's immutable sandbox keeps templates from attributes that lead to code. It lets them call any method of a value
(a pydantic model can unpickle), and does not bound their work. So only filters, methods and functions are left whose
result is bounded by their input, what multiplies is measured first, and loops, calls and inclusions are counted.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from augment.prompts.safe_text import as_json

LONGEST = 1_000_000
"""Characters of a rendered text, and characters, items or bits of any value on the way."""
MADE = 20 * LONGEST
"""The same of all values together that one rendering makes by joining, replacing and multiplying."""
STEPS = 200_000
"""Rounds of loops, calls and inclusions of one rendering."""
FILTERS = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float", "groupby", "int",
    "items", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "round", "safe",
    "select", "selectattr", "sort", "string", "title", "tojson", "trim", "truncate", "unique", "upper", "wordcount",
)  # fmt: skip
"""Besides `join`, `replace` and `json`, which are measured."""
METHODS = (
    "capitalize", "casefold", "count", "endswith", "find", "get", "index", "isalpha", "isdigit", "islower", "isnumeric",
    "isspace", "isupper", "items", "keys", "lower", "lstrip", "partition", "removeprefix", "removesuffix", "rfind",
    "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "swapcase", "title", "upper",
    "values",
)  # fmt: skip
"""Of text, lists and dicts."""
FUNCTIONS = ("cycler", "dict", "joiner", "namespace", "range")


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of templates that a user may replace."""

    def __init__(self, loader: jinja2.BaseLoader) -> None:
        super().__init__(loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
                         autoescape=False, finalize=_measured)  # fmt: skip
        self.intercepted_binops = frozenset(_OPERATORS)
        self.filters = {name: _with_measured_input(self.filters[name]) for name in FILTERS}
        self.filters["json"] = _with_measured_input(as_json)
        self.filters |= {"join": self._join, "replace": self._replace, _COUNTED: self._counted, _JOINED: self._joined}
        self.filters[_MEASURED] = _measured
        self.globals = {name: self.globals[name] for name in FUNCTIONS}
        self._left, self._makes = STEPS, MADE

    def generate_text(self, name: str, values: dict[str, Any]) -> str:
        """The filled-in template. Raises what jinja raises, and SecurityError beyond the bounds."""
        self._left, self._makes = STEPS, MADE
        parts, length = [], 0
        for part in self.get_template(name).generate(values):
            length = _bounded(length + len(part))
            parts.append(part)
        return "".join(parts)

    def get_template(self, *arguments: Any, **how: Any) -> jinja2.Template:
        """Counted: templates can include each other."""
        self._step()
        return super().get_template(*arguments, **how)

    def is_safe_callable(self, obj: Any) -> bool:
        """Functions of the language, macros, and methods of plain values."""
        if isinstance(obj, Macro) or type(obj).__module__.startswith("jinja2."):
            return True
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, str | list | tuple | dict):
            return obj.__name__ in METHODS
        if type(owner).__module__.startswith("jinja2."):
            return True
        return any(obj is function for function in self.globals.values())

    def call(__self, __context: Any, __obj: Any, *arguments: Any, **named: Any) -> Any:
        """Counted: macros can call themselves."""
        __self._step()
        _measured([*arguments, *named.values()])
        return super().call(__context, __obj, *arguments, **named)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """What makes values grow, measured before it is done."""
        if operator == "%" and isinstance(left, str):
            raise SecurityError("% on text, which could make it of any length")
        if operator == "+":
            self._make(_size(left) + _size(right))
        elif operator == "*":
            sequence = next((value for value in (left, right) if isinstance(value, str | list | tuple)), None)
            times = right if sequence is left else left
            self._make(_size(sequence) * max(0, times) if sequence is not None and isinstance(times, int)
                     else _size(left) + _size(right))  # fmt: skip
        elif operator == "**" and isinstance(left, int) and isinstance(right, int):
            self._make(left.bit_length() * abs(right))
        return _OPERATORS[operator](left, right)

    def _generate(self, source: nodes.Template, name: Any, filename: Any, defer_init: bool = False) -> str:
        return super()._generate(_Measured().visit(source), name, filename, defer_init)

    def _step(self, steps: int = 1) -> None:
        self._left -= steps
        if self._left < 0:
            raise SecurityError(f"more than {STEPS:,} rounds of loops and calls: it does not end, or far too late")

    def _make(self, size: int) -> None:
        self._makes -= _bounded(size)
        if self._makes < 0:
            raise SecurityError(f"values of more than {MADE:,} characters together")

    def _counted(self, values: Iterable[Any]) -> Iterator[Any]:
        for value in values:
            self._step()
            yield value

    def _joined(self, parts: list[Any]) -> str:
        self._make(sum(_size(part) for part in parts))
        return "".join(str(part) for part in parts)

    def _join(self, value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
        """jinja's `join`."""
        parts = list(value)
        if attribute is not None:
            parts = [self.getitem(part, attribute) for part in parts]
        self._make(sum(_size(part) + len(d) for part in parts))
        return d.join(str(part) for part in parts)

    def _replace(self, s: Any, old: str, new: str, count: int | None = None) -> str:
        """jinja's `replace`."""
        text = str(s)
        self._make(len(text) + text.count(old) * len(new))
        return text.replace(old, new, -1 if count is None else count)


_COUNTED, _JOINED, _MEASURED = (f"{step} by the sandbox" for step in ("counted", "joined", "measured"))
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "*": operator.mul,
    "**": operator.pow,
    "%": operator.mod,
}


class _Measured(NodeTransformer):
    """Puts the counting and the measuring into what a template is compiled from."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = _filtered(node.iter, _COUNTED)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        parts.environment = node.environment
        return _filtered(parts, _JOINED)

    def visit_List(self, node: nodes.List) -> nodes.Node:
        self.generic_visit(node)
        return _filtered(node, _MEASURED)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        self.generic_visit(node)
        return _filtered(node, _MEASURED)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        return node if node.ctx != "load" else _filtered(node, _MEASURED)


def _filtered(node: Any, name: str) -> nodes.Filter:
    made = nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)
    made.environment = node.environment
    return made


def _size(value: Any) -> int:
    """Characters, items or bits of a value, of all that is inside it; not much more is counted than is allowed."""
    if isinstance(value, int):
        return value.bit_length()
    if isinstance(value, str):
        return len(value)
    total, waiting = 1, [value]
    while waiting and total <= LONGEST:
        inner = waiting.pop()
        if isinstance(inner, str):
            total += len(inner)
        elif isinstance(inner, list | tuple | dict):
            total += len(inner)
            waiting += [*inner, *inner.values()] if isinstance(inner, dict) else inner
    return total


def _measured(value: Any) -> Any:
    if isinstance(value, str | list | tuple | dict):
        _bounded(_size(value))
    return value


def _with_measured_input(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter of jinja that looks at the size of what it gets: many make text of it."""

    @wraps(function)  # with the marks by which jinja hands over its context
    def measured(*arguments: Any, **named: Any) -> Any:
        for value in (*arguments, *named.values()):
            _measured(value)
        return function(*arguments, **named)

    return measured


def _bounded(size: int) -> int:
    if size > LONGEST:
        raise SecurityError(f"a value or text of more than {LONGEST:,} characters")
    return size
