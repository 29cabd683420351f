"""A wait ends when its condition holds, when it cannot hold any more, and when time is over; never before."""

from __future__ import annotations

import pytest

from tests.kit.waiting import wait_until


def test_it_looks_until_it_holds() -> None:
    looks = iter([False, None, 0, "", 3])
    wait_until(lambda: next(looks), "the third", between=0.0)
    assert list(looks) == []


def test_what_does_not_happen_is_said_with_what_was_seen() -> None:
    with pytest.raises(AssertionError, match=r"the end did not happen\n3 jobs"):
        wait_until(lambda: False, "the end", 0.0, more=lambda: "3 jobs")


def test_what_cannot_happen_any_more_is_said_at_once() -> None:
    looks: list[int] = []
    with pytest.raises(AssertionError, match="an answer cannot happen any more: exit status 1"):
        wait_until(lambda: looks.append(1), "an answer", between=0.0, lost=lambda: len(looks) > 1 and "exit status 1")
    assert len(looks) == 3, "and once more after it is known"


def test_what_happened_just_before_the_process_ended_has_happened() -> None:
    looks = iter([False, True])
    wait_until(lambda: next(looks), "an answer", lost=lambda: "it ended")
