"""Objects that were there before the engine are no work of its collections, and can be collected after it; while a
library is imported there are none."""

from __future__ import annotations

import gc
import weakref
from contextlib import suppress

import pytest

from augment.engines.vllm.process_environment import collections_put_off, present_objects_kept


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


@pytest.mark.parametrize("collects", [True, False])
def test_nothing_is_collected_while_a_library_is_imported(collects: bool) -> None:
    before = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        with suppress(ImportError), collections_put_off():
            garbage = [_thrown_away() for _ in range(2 * gc.get_threshold()[0])]
            assert all(one() is not None for one in garbage)
            raise ImportError
        assert gc.isenabled() == collects, "as it was before, for whatever reason the block ended"
    finally:
        (gc.enable if before else gc.disable)()
