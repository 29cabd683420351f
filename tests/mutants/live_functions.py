"""Plants a fault in functions that are loaded already, so that a mutant needs no import of the project.

What a module computes while it is imported (constants, defaults of arguments, bodies of classes, calls at module level)
stays as it is: such a fault reaches nobody, is refused here, and needs an import of its own.
"""

from __future__ import annotations

import ast
import gc
import inspect
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType

from mutations import Mutant


@dataclass(frozen=True)
class Plant:
    """Functions and the code, with one fault, that they run from now on."""

    functions: tuple[FunctionType, ...]
    code: CodeType

    def __call__(self) -> None:
        for function in self.functions:
            function.__code__ = self.code


class LiveModule:
    """The functions of one imported module.

    Args:
        file: of the module, as its functions name it.
        source: what the file holds.
        imported: lines of it that run while modules are imported.
    """

    def __init__(self, file: Path, source: str, imported: Collection[int] = ()) -> None:
        self._codes = [*_functions(compile(source, str(file), "exec"))]
        self._sound = compile(ast.unparse(ast.parse(source)), str(file), "exec")
        self._imported = {*imported}
        self._live: dict[tuple[str, int], list[FunctionType]] = {}
        for thing in gc.get_objects():
            if type(thing) is FunctionType and thing.__code__.co_filename == str(file):
                code = thing.__code__
                self._live.setdefault((code.co_qualname, code.co_firstlineno), []).append(thing)

    def plant(self, mutant: Mutant) -> Plant | None:
        """How to plant a mutant; None where only an import can."""
        changed = compile(mutant.source, self._sound.co_filename, "exec")
        if _content(changed, functions=False) != _content(self._sound, functions=False):
            return None
        pairs = zip(self._codes, _functions(self._sound), _functions(changed), strict=True)
        differing = [(code, after) for code, before, after in pairs if _content(before) != _content(after)]
        if len(differing) != 1:
            return None
        [(code, after)] = differing
        functions = tuple(self._live.get((code.co_qualname, code.co_firstlineno), ()))
        made_inside = any(name.startswith(f"{code.co_qualname}.<locals>.") for name, _ in self._live)
        if not functions or made_inside or code.co_freevars != after.co_freevars:
            return None
        if not self._imported.isdisjoint(set(_lines(code)) - {code.co_firstlineno}):
            return None
        return Plant(functions, after)


def _functions(code: CodeType) -> Iterator[CodeType]:
    """The outermost functions of a module, those of its classes with them, in the order of the source."""
    for part in code.co_consts:
        if isinstance(part, CodeType):
            if part.co_flags & inspect.CO_OPTIMIZED:
                yield part
            else:
                yield from _functions(part)


def _content(code: CodeType, functions: bool = True) -> tuple[object, ...]:
    """What code does, without what it is called and where it stands."""
    parts: list[object] = []
    for part in code.co_consts:
        if not isinstance(part, CodeType):
            parts.append((type(part), repr(part)))
        elif functions or not part.co_flags & inspect.CO_OPTIMIZED:
            parts.append(_content(part, functions))
    return (
        code.co_code,
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_cellvars,
        code.co_flags,
        tuple(parts),
    )


def _lines(code: CodeType) -> Iterator[int]:
    for _, _, line in code.co_lines():
        if line is not None:
            yield line
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _lines(part)
