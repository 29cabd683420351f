"""Which faults are planted in functions that are loaded already, and which are left to an import."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from live_functions import LiveModule
from mutations import Mutant, mutants

SOURCE = '''"""A module."""

from functools import cache

LEAST = 1
EARLY = 2


def early(number):
    return number < EARLY


@cache
def doubled(number):
    return number * 2


class Bounded:
    most = 8

    def within(self, number, least=LEAST):
        return all(number > bound for bound in (least - 1,)) and number <= self.most


def adder(step):
    def add(number):
        return number + step

    return add


add_one = adder(1)
early(0)
'''
Load = Callable[[], tuple[ModuleType, LiveModule]]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    file = tmp_path / "module_that_is_loaded.py"
    file.write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))

    def loaded() -> tuple[ModuleType, LiveModule]:
        sys.modules.pop("module_that_is_loaded", None)
        module = importlib.import_module("module_that_is_loaded")
        return module, LiveModule(file, SOURCE, imported=[10])

    yield loaded
    sys.modules.pop("module_that_is_loaded", None)


def mutant(after: str) -> Mutant:
    [found] = [mutant for mutant in mutants("module_that_is_loaded", SOURCE) if mutant.after == after]
    return found


@pytest.mark.parametrize(
    ("after", "call"),
    [
        ("return number / 2", lambda module: module.doubled(3) == 1.5),
        ("return number * 3", lambda module: module.doubled(3) == 9),
        (
            "return any((number > bound for bound in (least - 1,))) and number <= self.most",
            lambda module: module.Bounded().within(1),
        ),
        (
            "return all((number >= bound for bound in (least - 1,))) and number <= self.most",
            lambda module: module.Bounded().within(0),
        ),
        (
            "return all((number > bound for bound in (least - 1,))) and number < self.most",
            lambda module: not module.Bounded().within(8),
        ),
    ],
)
def test_a_fault_in_a_function_reaches_those_who_hold_it(load: Load, after: str, call: Callable[..., bool]) -> None:
    module, live = load()
    plant = live.plant(mutant(after))
    assert plant is not None
    plant()
    assert call(module)


@pytest.mark.parametrize("after", ["LEAST = 2", "most = 9", "None", "return number <= EARLY", "return number - step"])
def test_what_an_import_computes_needs_an_import(load: Load, after: str) -> None:
    _, live = load()
    assert live.plant(mutant(after)) is None
