"""What the page says of how answers came about: speed over time, lengths, failures, repairs, and hashes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from augrec.artefacts.files import read_json, read_parquet, sha256_file, write_json, write_parquet
from augrec.artefacts.records import StoredRecord
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.timelines import FINEST, Points
from augrec.report.pages.run.generated import read_records
from augrec.report.pages.run.page import write_report
from augrec.report.pages.run.provenance import read_provenance
from augrec.report.pages.run.throughput import PAUSE, RATES, rates, read_throughput
from augrec.report.pages.run.tokens import read_spreads
from augrec.report.pages.run.troubles import KIND_SHOWN, TEXT_SHOWN, failures, kind_of, repairs, without_failures
from augrec.report.render.wording import percent

BEGAN = 1_760_000_000.0
STAGES = ("dataset", "candidates", "augment", "embed", "train")


def points(*rows: tuple[float, int, float]) -> Points:
    """(seconds after BEGAN, requests, seconds generating) per point, ten prompt and two written tokens each."""
    made = Points()
    for after, requests, covered in rows:
        made.at(BEGAN + after)[:] = [covered, requests, 10.0 * requests, 0.0, 2.0 * requests]
    return made


def test_rates_are_counts_over_the_time_spent_generating() -> None:
    found = rates(points((0, 8, 2.0), (2, 4, 1.6), (4, 1, 0.2)), BEGAN, most=10)
    assert found.values["requests"].tolist() == [4.0, 2.5, 1.0]  # an interval hardly covered counts as half covered
    assert found.values["written tokens"].tolist() == [8.0, 5.0, 2.0]
    assert found.at.tolist() == [1.0, 3.0, 5.0]
    assert found.after_pause == {}


def test_a_pause_is_no_rate_and_breaks_the_line() -> None:
    found = rates(points((0, 2, 2.0), (2, 2, 2.0), (104, 6, 2.0)), BEGAN, most=10)
    assert found.after_pause == {2: 100.0}
    assert found.values["requests"].tolist() == [1.0, 1.0, 3.0]
    short = rates(points((0, 2, 2.0), (2 + PAUSE - FINEST, 2, 2.0)), BEGAN, most=10)
    assert short.after_pause == {}


def test_fewer_intervals_hold_the_same_requests() -> None:
    rows = [(2.0 * n, n % 5, 2.0) for n in range(304)]
    found = rates(points(*rows), BEGAN, most=50)
    assert len(found.at) <= 50
    assert float((found.values["requests"] * found.interval).sum()) == pytest.approx(sum(row[1] for row in rows))


def test_attributes_are_held_against_the_data_s_own_columns(make_run, options, config, variants) -> None:  # type: ignore[no-untyped-def]
    run = RunFolder(make_run())
    write_report(run, options, config, variants=variants)
    assert "Are the attributes right?" not in run.page.read_text(encoding="utf-8")
    items = read_parquet(run.items)
    said = {one.entity: one.fields for one in read_records(run.root, ["llm"])["llm", "item_attributes"].values()}
    known = [
        None if item % 3 == 0 else (said.get(item) or {}).get("director", "?") if item % 3 == 1 else "<b>Nobody</b>"
        for item in range(items.num_rows)
    ]
    write_parquet(run.items, items.append_column("director", pa.array(known)))
    write_report(run, options, config, variants=variants)
    page = run.page.read_text(encoding="utf-8")
    table = page[page.index("Are the attributes right?") :].partition("</table>")[0]
    answered = [item for item in said if known[item] is not None and said[item]]
    right = sum(item % 3 == 1 for item in answered) / len(answered)
    assert f">{len(answered)}<" in table
    assert percent(right) in table
    assert "<b>Nobody" not in page


def test_processes_are_one_line(make_run) -> None:  # type: ignore[no-untyped-def]
    (speed,) = read_throughput(make_run(), ["llm"])
    assert "2 processes" in speed.sentence
    assert "paused 1 time" in speed.sentence
    assert len(speed.rows[0]) == 1 + len(RATES)
    assert f'aria-label="llm: requests and tokens per second over time. {speed.sentence}"' in speed.figure
    assert speed.figure.count("<svg") == 2


def test_runs_without_a_timeline_have_no_figure(make_run, reported, options, config, variants) -> None:  # type: ignore[no-untyped-def]
    assert "Speed over time" in (reported / "report" / "index.html").read_text(encoding="utf-8")
    run: Path = make_run()
    page = run / "report" / "index.html"
    shutil.rmtree(run / "augment" / "llm" / "timeline")
    summary = read_json(run / "augment" / "summary.json")
    for task in summary["sources"]["llm"]["tasks"].values():
        del task["max_tokens"]
    write_json(run / "augment" / "summary.json", summary)
    write_report(RunFolder(run), options, config, variants=variants)
    assert "Speed over time" not in page.read_text(encoding="utf-8")
    assert "the longest answer" not in page.read_text(encoding="utf-8")


def test_lengths_are_per_attempt_and_told_against_their_room(make_run) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    sources = read_json(run / "augment" / "summary.json")["sources"]
    spreads = {(s.source, s.task, s.what): s for s in read_spreads(run, sources)}
    assert {source for source, _, _ in spreads} == {"llm"}  # rules cost no tokens
    prompts = spreads["llm", "edges", "prompt"]
    assert sorted(prompts.lengths) == [300 + user for user in range(60)]
    assert (prompts.at(0.5), prompts.at(0.95), prompts.at(1)) == (329, 356, 359)
    assert prompts.told.startswith("median 329, 95\u00a0% up to 356 tokens; the longest fills 18\u00a0% of 2\u202f048")
    answers = spreads["llm", "edges", "answer"]
    assert answers.at(1) == 80
    assert answers.cells == ("60", "76", "80", "80", "96", "83\u00a0%")


def test_scored_requests_count_their_prompts_one_by_one(make_run) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    sources = read_json(run / "augment" / "summary.json")["sources"]
    sources["llm"]["tasks"]["edges"]["prompts_per_attempt"] = 4
    spreads = {(s.task, s.what): s for s in read_spreads(run, {"llm": sources["llm"]})}
    assert spreads["edges", "prompt"].at(1) == 359 / 4


def test_failures_are_counted_by_reason_with_examples(make_run) -> None:  # type: ignore[no-untyped-def]
    records = read_records(make_run(), ["llm", "heuristic"])
    found = failures(records, np.random.default_rng(1))
    assert {(t.source, t.task, t.kind, t.count) for t in found} == {
        ("llm", "edges", "not_finished", 6),
        ("llm", "user_profile", "not_finished", 6),
        ("llm", "item_attributes", "not_finished", 4),
    }
    for trouble in found:
        failed = {entity for entity, r in records[trouble.source, trouble.task].items() if r.fields is None}
        assert len({case.entity for case in trouble.cases} & failed) == 3
        assert trouble.share == pytest.approx(0.1)
        assert all(len(case.text) <= TEXT_SHOWN and case.cut for case in trouble.cases)
    assert found == failures(records, np.random.default_rng(1))
    assert without_failures(records) == [("heuristic", "160 requests")]


def test_repairs_are_counted_once_per_answer_whatever_they_quote() -> None:
    def record(entity: int, *made: str, ok: bool = True) -> StoredRecord:
        return StoredRecord(
            entity, entity, "ok" if ok else "failed", {} if ok else None, reason=None if ok else "x", repairs=made
        )

    entities = [
        record(0, "liked_genres: 1 repeated", "liked_genres: 2 repeated"),
        record(1, "liked_genres: 3 repeated", "country: placeholder 'it\\'s'"),
        record(2, "country: placeholder 'N/A'", ok=False),
        record(3),
    ]
    found = repairs({("llm", "user_profile"): dict(enumerate(entities))}, np.random.default_rng(0))
    assert [(t.kind, t.count, t.share) for t in found] == [
        ("liked genres: repeated", 2, 0.5),
        ("country: placeholder", 1, 0.25),
    ]
    assert [case.told for case in found[1].cases] == ["country: placeholder 'it\\'s'"]
    assert len(kind_of("word " * 90)) <= KIND_SHOWN


def test_the_page_says_what_failed_and_what_did_not(reported: Path) -> None:
    text = (reported / "report" / "index.html").read_text(encoding="utf-8")
    assert "<bdi>heuristic</bdi>: no failures in 160 requests." in text
    section = text[text.index("<h3>Failures</h3>") : text.index("<h3>Audit</h3>")]
    assert section.count("<details") == 3 + 3 * 2 * 2
    assert "<script" not in section
    assert "<img" not in section
    assert "&lt;script&gt;document.title=&#39;owned&#39;" in section
    assert re.search(r'<pre dir="auto">&lt;script&gt;.*?…</pre>', section, flags=re.DOTALL)


def test_hashes_of_everything_a_run_is_made_of(make_run) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    dataset = read_json(run / "dataset" / "dataset.json")
    engines = {n: s["engine"] for n, s in read_json(run / "augment" / "summary.json")["sources"].items()}
    groups = {
        title: {e.name: e.value for e in lines} for title, lines in read_provenance(run, dataset, engines, STAGES)
    }
    assert groups["The run"]["sha256 of its config, resolved"] == sha256_file(run / "config.yaml")
    assert groups["The run"]["command"] == f"augrec run {run}/config.yaml"
    assert groups["Data set"]["sha256 of the split"] == "cd" * 32
    llm = groups["Source: llm"]
    assert llm["sha256 of the model's folder"] == "a1" * 32
    assert llm["sha256 of the tokenizer's files"] == "a2" * 32
    assert llm["sha256 of the chat template"] == "a3" * 32
    assert llm["libraries"] == "vllm==0.32.0 xgrammar==0.2.8"
    path = run / "augment" / "llm" / "edges" / "records.parquet"
    assert llm["sha256 of edges/records.parquet, 60 rows"] == sha256_file(path)
    assert groups["Embedding"] == {"model": "all-MiniLM-L6-v2", "sha256 of the model's folder": "12" * 32}
    assert groups["Code"]["train: code (version 0.1.0)"] == "04" * 32
    assert groups["Code"]["dataset: fingerprint"] == "00" * 32
    other = dict(read_provenance(run, dataset, engines, ["train", "dataset"]))["Code"]
    assert [line.name.partition(":")[0] for line in other if "fingerprint" in line.name] == ["train", "dataset"]


def test_several_engines_of_a_source_are_told_apart(make_run) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    described = {"engine": "vllm", "model": "m", "versions": {"vllm": "0.32.0"}}
    path = run / "augment" / "llm" / "engine.json"

    def lines(engines: dict[str, object]) -> list[str]:
        write_json(path, described | {"engines": engines})
        groups = dict(read_provenance(run, {}, {"llm": described}, STAGES))
        return [f"{e.name}: {e.value}" for e in groups["Source: llm"] if e.name.startswith("records of")]

    newer = described | {"versions": {"vllm": "0.33.0"}}
    assert lines({"aa": {"made": 1200, **described}, "bb": {"made": 3, **newer}}) == [
        "records of engine aa: 1,200 by vllm m vllm==0.32.0",
        "records of engine bb: 3 by vllm m vllm==0.33.0",
    ]
    assert lines({"aa": {"made": 1203, **described}}) == [], "the one that is described above"
