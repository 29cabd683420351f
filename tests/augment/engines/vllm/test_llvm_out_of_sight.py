"""vLLM looks for kernels in every object of every module; what holds LLVM's library is none to be looked at."""

from __future__ import annotations

import sys

import pytest

from augment.engines.vllm.process_environment import llvm_out_of_sight

NAME = "llvmlite.binding.ffi"


def test_the_library_answers_what_every_object_is_asked_and_is_hidden_meanwhile() -> None:
    from llvmlite.binding import ffi

    with pytest.raises(AttributeError, match="get"):
        vars(ffi.lib).get("kernel")
    with llvm_out_of_sight():
        assert not any(module is ffi for module in sys.modules.values())
    assert sys.modules[NAME] is ffi


def test_what_nothing_has_loaded_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    with llvm_out_of_sight():
        assert NAME not in sys.modules
    assert NAME not in sys.modules
