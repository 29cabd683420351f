"""Objects that were there before the engine are no work of its collections, and can be collected after it."""

from __future__ import annotations

import gc
import weakref
from contextlib import suppress

import pytest

from augment.engines.vllm.process_environment import present_objects_kept


class Ring:
    """Garbage that only a collection finds."""

    def __init__(self) -> None:
        self.me = self


def _thrown_away() -> weakref.ref[Ring]:
    return weakref.ref(Ring())


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_there_is_passed_over_until_the_block_ends(fails: bool) -> None:
    gc.disable()
    try:
        before = _thrown_away()
        with suppress(ValueError), present_objects_kept():
            within = _thrown_away()
            gc.collect()
            assert before() is not None
            assert within() is None, "what the block makes is collected as ever"
            if fails:
                raise ValueError
        gc.collect()
        assert before() is None
        assert gc.get_freeze_count() == 0
    finally:
        gc.enable()
