"""Threads of an engine on the CPU: as many as cores are free, fewer when others come, more when they leave."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from augment.engines.vllm.engine import TokenCount
from augrec.artefacts.threads import SECONDS_BETWEEN_LOOKS, Threads, most_threads, threads_in_words


class Watch:
    """A machine of eight cores whose free ones the test sets."""

    usable = 8

    def __init__(self, free: float) -> None:
        self.now, self.seconds = free, 1.0

    def free(self) -> float:
        self.seconds = 0.0
        return self.now


def threads(free: float, wished: int | None = None, most: int = 8) -> tuple[Threads, Any, list[int]]:
    watch, made = Watch(free), []
    return Threads(wished, most, made.append, watch), watch, made  # type: ignore[arg-type]


@pytest.mark.parametrize(("free", "number"), [(8.0, 8), (2.9, 3), (1.0, 1), (0.0, 1)])
def test_it_starts_with_as_many_as_cores_are_free(free: float, number: int) -> None:
    chosen, _, made = threads(free)
    assert chosen.number == number
    assert made == [number]
    assert "cores free" in chosen.because


def test_neighbours_that_come_and_go_are_noticed_while_it_runs() -> None:
    chosen, watch, made = threads(8.0)
    for free in (8.0, 2.0, 2.0, 8.0):
        watch.now, watch.seconds = free, SECONDS_BETWEEN_LOOKS
        chosen.look()
    assert made == [8, 2, 8]
    assert chosen.used == [8, 2]
    assert chosen.number == 8


def test_it_looks_only_every_few_seconds() -> None:
    chosen, watch, made = threads(8.0)
    watch.now, watch.seconds = 1.0, SECONDS_BETWEEN_LOOKS / 2
    chosen.look()
    assert made == [8]


def test_a_number_from_the_config_stays() -> None:
    chosen, watch, made = threads(1.0, wished=4)
    watch.seconds = 100.0
    chosen.look()
    assert made == chosen.used == [4]


def test_no_more_than_the_most() -> None:
    assert threads(8.0, most=3)[0].number == 3
    assert threads(8.0, most=99)[0].number == 8


def test_a_users_number_bounds_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert most_threads(6) == 6
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert most_threads(6) == 2
    assert most_threads(1) == 1


def test_it_goes_on_after_others_computed_with_another_number() -> None:
    chosen, watch, made = threads(2.0)
    watch.now, watch.seconds = 8.0, SECONDS_BETWEEN_LOOKS
    chosen.resume()
    assert made == [2, 2, 8]


def test_numbers_in_words() -> None:
    assert [threads_in_words(1), threads_in_words(4), threads_in_words(4, 1, 2)] == [
        "1 thread", "4 threads", "1 to 4 threads",
    ]  # fmt: skip


def output(name: str, written: int, finished: bool = False) -> Any:
    one = SimpleNamespace(token_ids=[0] * written)
    return SimpleNamespace(request_id=name, prompt_token_ids=[0] * 100, outputs=[one], finished=finished)


def test_tokens_count_before_a_request_is_finished_and_only_once() -> None:
    count = TokenCount()
    assert count.in_words() == "read 0 tokens, wrote 0"
    for one in (output("a", 1), output("b", 3), output("a", 5), output("b", 4, finished=True)):
        count.count(one)
    assert (count.read, count.written) == (200, 9)
    count.count(output("b", 2))  # asked again under the same name
    assert (count.read, count.written) == (300, 11)
    count.seconds = 2.0
    assert count.in_words() == "read 300 tokens (150/s), wrote 11 (6/s)"
