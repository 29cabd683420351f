"""The benchmark of number formats judges what is chosen by what was measured; nothing is measured here."""

from __future__ import annotations

import pytest

from benchmarks import number_format

SECONDS = {"prompts": {"float32": 3.0, "bfloat16": 1.0}, "answers": {"float32": 1.0, "bfloat16": 1.05}}


@pytest.mark.parametrize(
    ("flags", "dtype", "met"),
    [({"avx512_bf16"}, "bfloat16", [True, True]), ({"avx2"}, "float32", [False, True])],
)
def test_the_choice_is_held_against_the_faster_format(
    flags: set[str], dtype: str, met: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    found = number_format.results_of("here", frozenset(flags), SECONDS)
    judged = [result for result in found if result.ok is not None]
    assert [result.ok for result in judged] == met
    assert all(f"{dtype} (chosen)" in result.name for result in judged)
    assert [result.value for result in found if result.ok is None] == [3.0, pytest.approx(1 / 1.05)]


def test_a_processor_whose_flags_say_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert number_format.chosen(frozenset(), SECONDS) == "bfloat16"
    assert number_format.chosen(frozenset(), {"prompts": SECONDS["answers"]}) == "float32"
