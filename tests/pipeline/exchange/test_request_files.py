"""Questions leave as a batch file and come back as records, second tries too."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from rich.console import Console

from artefacts.errors import DataError, UsageError
from artefacts.files import read_json
from pipeline.config import read_config
from pipeline.exchange.request_files import Taken, take_answers
from pipeline.execute import run_one
from pipeline.stages.base import Run

Take = Callable[..., Taken]
LIKED = {"age": "25-34", "gender": "male", "country": "France", "language": "French"}


@pytest.fixture
def config(tmp_path: Path, toy_data: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A prepared run with candidates whose source no server answers."""
    monkeypatch.setenv("AUGREC_CACHE", str(tmp_path / "cache"))
    engine = {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "m"}
    content = {
        "name": "toy",
        "output": str(tmp_path / "run"),
        "dataset": {
            "name": "Toy", "source": {"format": "recbole", "path": str(toy_data())}, "split": {"kind": "random"},
        },
        "candidates": {"model": "popular", "size": 4},
        "generation": {"sources": {"batch": {"engine": engine}, "rule": {"engine": {"kind": "heuristic"}}}},
        "embedding": {},
        "models": {"popular": {"family": "popularity"}},
        "variants": {"popular": {"model": "popular"}},
        "report": {"baseline": "popular"},
    }  # fmt: skip
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(content))
    run = Run(read_config(path))
    for stage in ("prepare", "candidates"):
        run_one(run, stage, force=False, console=Console(file=io.StringIO()))
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def result(asked: dict[str, Any], text: str, status: int = 200) -> dict[str, Any]:
    body = {
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2},
    }
    return {
        "id": "x",
        "custom_id": asked["custom_id"],
        "response": {"status_code": status, "body": body},
        "error": None,
    }


def reply(asked: dict[str, Any], *, contradict: bool = False) -> str:
    schema = asked["body"]["response_format"]["json_schema"]
    if schema["name"] == "edges":
        return '{"most_likely": 2, "least_likely": 1}'
    if schema["name"] == "item_attributes":
        return '{"director": "Ada Kern", "country": "France", "language": "French"}'
    disliked = schema["schema"]["properties"]["disliked_genres"]["items"]
    genres = disliked.get("enum") or [disliked["const"]]
    fields = LIKED | {"liked_genres": ["Drama"], "disliked_genres": ["Drama" if contradict else genres[0]]}
    return json.dumps(fields | {"liked_directors": ["Ada Kern"]})


def write(path: Path, entries: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in reversed(entries)))
    return path


def test_out_and_back(config: Path, tmp_path: Path) -> None:
    first, second, third = (tmp_path / f"ask-{n}.jsonl" for n in (1, 2, 3))
    taken = take_answers(config, None, "batch", [], first)
    asked = lines(first)
    assert (taken.recorded, taken.open) == (0, len(asked))
    assert {entry["url"] for entry in asked} == {"/v1/chat/completions"}
    assert len({entry["custom_id"] for entry in asked}) == len(asked)
    answers = [result(entry, reply(entry, contradict=n % 2 == 0)) for n, entry in enumerate(asked)]
    answers[3] |= {"response": None, "error": {"message": "expired"}}
    answers[5]["response"]["status_code"] = 500
    one = write(tmp_path / "one.jsonl", answers)
    taken = take_answers(config, None, "batch", [one], second)
    again = lines(second)
    assert taken.recorded == len(asked) - taken.open
    assert len(again) == taken.open
    tries = {entry["custom_id"].partition("/")[2] for entry in again}
    assert tries == {"1", "2"}  # what was lost, and profiles that contradicted themselves
    two = write(tmp_path / "two.jsonl", [result(entry, reply(entry)) for entry in again])
    taken = take_answers(config, None, "batch", [one, two], third)
    assert (taken.recorded, taken.failed, taken.open) == (len(asked), 0, 0)
    assert lines(third) == []
    run = Run(read_config(config))
    run_one(run, "augment", force=False, console=Console(file=io.StringIO()))  # nobody listens at base_url
    summary = read_json(run.folder / "augment" / "summary.json")["sources"]["batch"]
    assert summary["engine"]["answered_by"] == "batch files"
    found = pq.read_table(run.folder / "augment" / "batch" / "user_profile" / "records.parquet").to_pylist()
    assert {row["attempt"] for row in found} == {1, 2}
    assert all(json.loads(row["fields"])["disliked_genres"] != ["Drama"] for row in found)


def test_a_refusal_is_a_failed_record(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "ask.jsonl"
    take_answers(config, None, "batch", [], file)
    asked = lines(file)[0]
    results = write(tmp_path / "one.jsonl", [result(asked, "", status=400)])
    taken = take_answers(config, None, "batch", [results], None)
    assert (taken.recorded, taken.failed) == (1, 1)


def test_mistakes(config: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no source 'x'"):
        take_answers(config, None, "x", [], None)
    with pytest.raises(UsageError, match="of kind heuristic"):
        take_answers(config, None, "rule", [], None)
    with pytest.raises(DataError, match="does not exist"):
        take_answers(config, None, "batch", [tmp_path / "none"], None)
    (tmp_path / "broken").write_text('{"custom_id": "a"}\n{"x": 1}\n')
    with pytest.raises(DataError, match=r"broken:2"):
        take_answers(config, None, "batch", [tmp_path / "broken"], None)
    with pytest.raises(DataError, match="has not finished"):
        take_answers(config, [f"output={tmp_path / 'other'}"], "batch", [], None)
