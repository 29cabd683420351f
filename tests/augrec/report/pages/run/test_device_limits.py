"""What the page says of the time generation took, and that it says nothing where no LLM was run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from augrec.artefacts.files import read_json, write_json
from augrec.artefacts.run_folder import RunFolder
from augrec.report.pages.run.device_limits import read_limits
from augrec.report.pages.run.page import write_report

TITLE = "Time taken, against what the device can do"
FOUND: dict[str, Any] = {
    "device": "NVIDIA H200 <b>",
    "devices": 1,
    "requests": 13187,
    "cached_fraction": 0.5,
    "decode_batch": 256,
    "achieved_seconds": 286.0,
    "floor_seconds": {"prefill": 130.0, "overlap": 143.0, "serial": 154.0},
    "left_out": None,
}


def test_a_floor_in_one_sentence_and_bars() -> None:
    (limit,) = read_limits({"llama": {"roofline": FOUND}, "rule": {}})
    assert limit.source == "llama"
    for part in ("4 min 46 s on NVIDIA H200", "less than 2 min 23 s", "2.0 times the floor", "256 requests decoded"):
        assert part in limit.sentence
    assert limit.shares[0] == ("time taken", 1.0, "4 min 46 s")
    assert limit.shares[1] == ("everything at once", 0.5, "2 min 23 s")
    assert limit.shares[4] == ("answers alone", 24 / 286, "24.0 s")
    assert limit.grammar == ""
    (two,) = read_limits({"llama": {"roofline": FOUND | {"devices": 2}}})
    assert "on 2 × NVIDIA H200" in two.sentence


def test_time_on_grammars_is_told_where_it_was_measured() -> None:
    (limit,) = read_limits({"llama": {"roofline": FOUND, "grammar_seconds": {"compile": 1.5, "mask": 27.1}}})
    assert "10\u00a0% was work on grammars" in limit.grammar
    assert "1.5 s compiling them" in limit.grammar
    assert "27.1 s working out" in limit.grammar


def test_without_a_floor_the_reason() -> None:
    why = "no peaks are known of the device 'CPU, 2 threads'"
    left_out = {"left_out": why, "achieved_seconds": 3.0, "cached_fraction": 0.25}
    (limit,) = read_limits({"small": {"roofline": left_out}})
    assert limit.sentence.startswith("Generating took 3.0 s, ")
    assert limit.sentence.endswith("is not told: no peaks are known of the device 'CPU, 2 threads'.")
    assert limit.shares == ()
    assert "25\u00a0% of the prompts from the cache" in limit.sentence
    (unused,) = read_limits({"small": {"roofline": FOUND | {"achieved_seconds": 0.0}}})
    assert "no time was recorded" in unused.sentence


def test_on_the_page(make_run, options, config, variants) -> None:  # type: ignore[no-untyped-def]
    run: Path = make_run()
    page = run / "report" / "index.html"
    write_report(RunFolder(run), options, config, variants=variants)
    assert TITLE not in page.read_text(encoding="utf-8")
    summary = read_json(run / "augment" / "summary.json")
    summary["sources"]["llm"]["roofline"] = FOUND
    summary["sources"]["llm"]["grammar_seconds"] = {"compile": 0.2, "mask": 2.0}
    write_json(run / "augment" / "summary.json", summary)
    write_report(RunFolder(run), options, config, variants=variants)
    text = page.read_text(encoding="utf-8")
    assert TITLE in text
    assert "NVIDIA H200 &lt;b&gt;" in text
    assert "was work on grammars" in text
    assert '<span class="bar" style="width: 50.0%">' in text
