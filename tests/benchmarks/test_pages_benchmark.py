"""The benchmark of pages makes both of a small study; only the shape of the target is judged."""

from __future__ import annotations

from pathlib import Path

from benchmarks.pages import MAKERS, TARGET, Made, Shape, results_of, write_study

SMALL = Shape(users=300, variants=6, seeds=2)


def test_both_pages_of_a_small_study_are_made(tmp_path: Path) -> None:
    write_study(tmp_path, SMALL)
    for page, make in MAKERS.items():
        make(tmp_path, SMALL)
        written = [path.read_text(encoding="utf-8") for path in sorted(tmp_path.rglob("index.html"))]
        assert any("lightgcn-05" in text or "arm-02" in text for text in written), page
    assert len({path.parent for path in tmp_path.rglob("index.html")}) == 2


def test_only_the_shape_of_the_target_is_judged() -> None:
    slow, small = Made(90.0, 61.0, 10**9), Made(9.0, 5.0, 3 * 10**9)
    assert [result.ok for result in results_of("run", TARGET, slow)] == [False, True, None]
    assert [result.ok for result in results_of("run", TARGET, small)] == [True, False, None]
    assert {result.ok for result in results_of("run", SMALL, slow)} == {None}
