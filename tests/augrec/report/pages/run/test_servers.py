"""What the page says of servers that shared a source's requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from augrec.artefacts.files import read_json, write_json
from augrec.artefacts.run_folder import RunFolder
from augrec.report.pages.run.page import write_report
from augrec.report.pages.run.servers import servers_table

TOKENS = {"prompt_tokens": 3000, "completion_tokens": 900, "cached_tokens": 0, "refused": 0}
BUSY = {"asked": 40, "answered": 30, **TOKENS, "failures": {"timeout": 1, "connection_lost": 9}, "evidence": ""}
IDLE = {"asked": 10, "answered": 10, **TOKENS, "failures": {}, "evidence": "log-probabilities at most 0.01 apart"}
SUMMARY: dict[str, Any] = {
    "tasks": {"profile": {"seconds": 20.0}, "edges": {"seconds": 10.0}},
    "endpoints": {"http://a/v1": BUSY, "http://b/v1": IDLE},
}


def test_a_row_for_every_server_of_a_source_that_has_several() -> None:
    one = SUMMARY | {"endpoints": {"http://a/v1": BUSY}}
    assert servers_table({"rule": {}, "one": one}) is None
    shown = servers_table({"rule": {}, "one": one, "llm": SUMMARY})
    assert shown is not None
    titles = [column.title for column in shown.columns]
    first, second = (dict(zip(titles, row.cells, strict=True)) for row in shown.rows)
    assert [first[title].value for title in ("share", "prompt/s", "written/s", "failed tries")] == [0.75, 100, 30, 10]
    assert first["reasons"].text == "connection_lost 9, timeout 1"
    assert (second["share"].value, second["the same model, by"].text) == (0.25, IDLE["evidence"])


def test_on_the_page(make_run, options, config, variants) -> None:  # type: ignore[no-untyped-def]
    run: Path = make_run()
    summary = read_json(run / "augment" / "summary.json")
    summary["sources"]["llm"]["endpoints"] = {"http://a/<b>": BUSY, "http://b/v1": IDLE}
    write_json(run / "augment" / "summary.json", summary)
    write_report(RunFolder(run), options, config, variants=variants)
    text = (run / "report" / "index.html").read_text(encoding="utf-8")
    assert "Servers that shared the requests" in text
    assert "http://a/&lt;b&gt;" in text
    assert "http://a/<b>" not in text
