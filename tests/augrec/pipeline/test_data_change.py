"""A whole run after a data change: only what it changed is asked, the audit is clean, and a report is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from augrec.artefacts.files import read_json, read_parquet
from augrec.pipeline.audit import audit_run
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.stages.base import Run
from tests.kit.toy_run import advance

pytestmark = pytest.mark.slow

CONFIG = """
name: shop
seed: 1
dataset:
  name: Shop
  domain: books
  source: {{format: table, path: {data}, table: {{interactions: clicks.csv, timestamp: when, items: products.csv}}}}
  k_core: 5
  split: {{kind: leave_last_out}}
candidates: {{size: 5, model: popularity}}
generation:
  shards: 2
  sources:
    rules: {{engine: {{kind: heuristic}}}}
embedding: {{model: "{embedder}", device: cpu}}
models: {{popularity: {{family: popularity}}, ease: {{family: ease, l2: 10}}}}
evaluation: {{cutoffs: [5]}}
training: {{monitor: "recall@5", device: cpu}}
seeds: [1]
variants: {{popularity: {{model: popularity}}, ease: {{model: ease}}}}
report: {{baseline: popularity, primary: "recall@5", secondary: []}}
"""
GENRES = ("Crime", "Poetry", "Science", "Travel")
Shown = dict[tuple[str, str], tuple[list[str], list[str], object]]
ABOUT = {"edges": "user", "user_profile": "user", "item_attributes": "item"}


def write_shop(folder: Path, more: bool = False) -> Path:
    """Thirty customers with seven clicks each on 25 products; three have four clicks. More: one product in front."""
    folder.mkdir(parents=True, exist_ok=True)
    clicks = [f"c{n:02d},p{(n * 3 + k * 4) % 25:02d},{1000 + n + 60 * k}" for n in range(30) for k in range(7)]
    clicks += [f"d{n},p{(n * 7 + k * 2) % 25:02d},{2000 + k}" for n in range(3) for k in range(4)]
    products = [f"p{n:02d},Book {n},{GENRES[n % 4]}|{GENRES[n * 3 % 4]}" for n in range(25)]
    if more:
        clicks += [f"c{n:02d},a-new,{5000 + n}" for n in range(6)]
        products.insert(0, "a-new,New book,Crime")
    (folder / "clicks.csv").write_text("\n".join(["user_id,item_id,when", *dict.fromkeys(clicks)]) + "\n")
    (folder / "products.csv").write_text("\n".join(["item_id,title,genres", *products]) + "\n")
    return folder


def shown(run: Path) -> Shown:
    """What each record is of, in source ids: (task, entity) -> history, candidates, fields."""
    ids = {about: read_parquet(run / "dataset" / f"{about}s.parquet")["source_id"].to_pylist()
           for about in ("user", "item")}  # fmt: skip
    found: Shown = {}
    for task, about in ABOUT.items():
        for row in read_parquet(run / "augment" / "rules" / task / "records.parquet").to_pylist():
            fields = json.loads(row["fields"]) if row["fields"] else None
            if task == "edges" and fields:
                fields = {name: ids["item"][fields[name]] for name in ("positive", "negative")}
            lists = ([ids["item"][item] for item in row[name]] for name in ("shown_history", "shown_candidates"))
            found[task, ids[about][row["entity"]]] = (*lists, fields)  # type: ignore[assignment]
    return found


def lines(run: Path) -> int:
    return sum(len(path.read_bytes().splitlines()) for path in run.glob("augment/rules/*/shards/*.jsonl"))


@pytest.mark.parametrize("change", ["k_core", "one item more"])
def test_only_what_changed_is_asked_and_the_way_back_asks_nothing(
    change: str, tmp_path: Path, embedder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUGREC_CACHE", str(tmp_path / "cache"))
    config = tmp_path / "shop.yaml"
    config.write_text(CONFIG.format(data=write_shop(tmp_path / "data"), embedder=embedder))
    folder = tmp_path / "run"

    def run(output: Path, changed: bool, whole: bool = True) -> Shown:
        write_shop(tmp_path / "data", more=changed and change != "k_core")
        overrides = ["dataset.k_core=4"] if changed and change == "k_core" else []
        run = Run(read_config(config, [f"output={output}", *overrides]))
        if whole:
            advance(run)
            assert audit_run(output).violations == 0
            assert (output / "report" / "index.html").exists()
        else:
            advance(run, "prepare", "candidates", "augment")
        return shown(output)

    before = run(folder, False, whole=False)
    asked = lines(folder)
    assert asked == len(before)
    after = run(folder, True)
    changed = {name for name, content in after.items() if before.get(name) != content}
    assert 0 < len(changed) < len(after) / 2
    assert lines(folder) == asked + len(changed), "nothing else was asked"
    stale = sum(
        task["stale"] for task in read_json(folder / "augment" / "summary.json")["sources"]["rules"]["tasks"].values()
    )
    assert stale == asked + len(changed) - len(after)
    assert after == run(tmp_path / "fresh", True, whole=False), "as if there had been no run before"
    assert run(folder, False, whole=False) == before
    assert lines(folder) == asked + len(changed)
