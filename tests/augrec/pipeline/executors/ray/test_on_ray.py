"""Pieces given to a cluster that does orders in this process: what is asked of it, and what becomes of its losses."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.files import read_json, read_parquet
from augrec.pipeline.executors.chain import run_all, run_one
from augrec.pipeline.executors.choice import chosen_executor
from augrec.pipeline.executors.profile import Profile, read_profile
from augrec.pipeline.executors.ray import cluster, executor
from augrec.pipeline.executors.ray.cluster import Ask, Handle
from augrec.pipeline.executors.ray.executor import OnRay, ask_of
from augrec.pipeline.executors.ray.findings import look_at_ray
from augrec.pipeline.executors.ray.task import Ended, Order, do_order
from augrec.pipeline.host.stopping import Stopped
from augrec.pipeline.stages import STAGES
from augrec.pipeline.stages.base import Run
from augrec.pipeline.studies.execution import Execution
from augrec.pipeline.studies.experiment.plan import read_experiment
from augrec.pipeline.studies.experiment.run import run_experiment
from tests.kit.toy_config import toy_config, write_config
from tests.kit.toy_run import silent

Fate = Callable[[int, Order], "Order | Ended"]
"""Of the order of that number: what is done of it, or how it ends without being done."""


class Here:
    """A cluster of one process, which does an order when it is asked what ended."""

    def __init__(self, fate: Fate = lambda number, order: order, slots: int = 2) -> None:
        self.fate, self.places = fate, slots
        self.orders: list[tuple[Order, Ask]] = []
        self.cancelled: list[tuple[Handle, bool]] = []

    def slots(self, ask: Ask) -> int:
        return self.places

    def nodes(self) -> str:
        return "nothing"

    def start(self, order: Order, ask: Ask) -> Handle:
        self.orders.append((order, ask))
        return len(self.orders) - 1

    def ended(self, handles: Sequence[Handle], seconds: float) -> dict[Handle, Ended]:
        first = min(handles, default=None)
        if first is None:
            return {}
        if any(handle == first for handle, _ in self.cancelled):
            return {first: Ended("stopped", "cancelled")}
        fate = self.fate(first, self.orders[first][0])
        return {first: fate if isinstance(fate, Ended) else do_order(fate)}

    def cancel(self, handles: Iterable[Handle], *, force: bool) -> None:
        self.cancelled += [(handle, force) for handle in handles]

    def asked(self) -> list[list[str]]:
        return [list(order.pieces) for order, _ in self.orders]


@pytest.fixture(autouse=True)
def own_process() -> Iterator[None]:
    """An order changes the folder and the variables of the process that does it."""
    place, variables = Path.cwd(), dict(os.environ)
    yield
    os.chdir(place)
    os.environ.clear()
    os.environ.update(variables)


def profile_of(tmp_path: Path, text: str = "") -> Profile:
    (tmp_path / "cluster.toml").write_text(text)
    return read_profile(tmp_path / "cluster.toml")


def augment(run: Run, here: Here, profile: Profile) -> None:
    run_one(run, "augment", force=False, console=silent(), executor=OnRay(here, profile))


def tables(folder: Path) -> list[object]:
    names = ("edges", "user_profile", "item_attributes")
    return [read_parquet(folder / "augment" / "rule" / name / "records.parquet").to_pydict() for name in names]


def test_a_run_on_a_cluster_is_the_run_of_one_machine(open_run: Run, finished_run: Path, tmp_path: Path) -> None:
    here = Here()
    run_all(open_run, console=silent(), executor=OnRay(here, profile_of(tmp_path)))
    assert tables(open_run.folder) == tables(finished_run)
    results = "report/results.json"
    assert read_json(open_run.folder / results) == read_json(finished_run / results)
    trainings = [name for order, _ in here.orders if order.stage == "train" for name in order.pieces]
    assert sorted(trainings) == sorted(piece.name for piece in STAGES["train"].pieces(open_run))
    assert not list(open_run.files.at_work.glob("*")), "nobody is said to be at work"
    before = len(here.orders)
    run_all(open_run, console=silent(), executor=OnRay(here, profile_of(tmp_path)))
    assert len(here.orders) == before


EXPERIMENT = """
candidates: {model: graph}
models:
  graph: {family: lightgcn, dim: 8, layers: 1}
  broken: {family: lightgcn, dim: 8, training: {lr: 1.0e+30}}
variants: {graph: {model: graph}, popular: {model: popular}, broken: {model: broken}}
report: {baseline: graph, bootstrap: null}
"""


@pytest.mark.slow
def test_an_experiment_on_a_cluster_keeps_failures_to_their_rows(
    tmp_path: Path, toy_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUGREC_CACHE", str(tmp_path / "cache"))
    content = {
        "name": "on-ray",
        "output": str(tmp_path / "out"),
        "base": toy_config(toy_data, EXPERIMENT),
        "settings": {"small": {}, "large": {"change": {"candidates.size": 8}}},
        "tables": {"main": {"title": "Main", "metrics": ["recall@10"], "baseline": "graph", "bootstrap": 100}},
    }
    plan, here = read_experiment(write_config(tmp_path / "study.yaml", content)), Here()
    executor = OnRay(here, profile_of(tmp_path))
    _, failures = run_experiment(plan, Execution(silent(), executor=executor))
    assert [(failure.setting, failure.stage, failure.variant) for failure in failures] == [
        ("small", "train", "broken"),
        ("large", "train", "broken"),
    ]
    assert {(pickle.loads(order.config).name, *order.pieces) for order, _ in here.orders} == {
        *(("on-ray-data-small", f"{variant}/seed-1") for variant in ("graph", "popular", "broken")),
        ("on-ray-data-large", "broken/seed-1"),  # the others are copied
    }
    (table,) = read_json(tmp_path / "out" / "results.json")["tables"]
    assert {row["variant"]: row["problem"] is None for row in table["rows"]} == {
        "graph": True, "popular": True, "broken": False,
    }  # fmt: skip


def one_of_them(order: Order) -> Order:
    return replace(order, pieces=dict(list(order.pieces.items())[:1]))


def test_what_a_dead_worker_left_is_asked_for_again(open_run: Run, finished_run: Path, tmp_path: Path) -> None:
    def fate(number: int, order: Order) -> Order | Ended:
        if number == 0:
            assert do_order(one_of_them(order)).outcome == "done"
        return Ended("lost", "its node died") if number < 3 else order

    here = Here(fate, slots=1)
    augment(open_run, here, profile_of(tmp_path))
    assert here.asked() == [["rule 0", "rule 1"], ["rule 1"], ["rule 1"], ["rule 1"]], (
        "after some progress it counts anew"
    )
    assert tables(open_run.folder) == tables(finished_run)


@pytest.mark.parametrize(
    ("end", "reason", "again"),
    [
        (Ended("lost", "its node died"), "its worker died 2 times; the last: its node died", 2),
        (Ended("failed", "RuntimeError: it fell over"), "RuntimeError: it fell over", 1),
        (Ended("done"), "its result is not in the run folder here", 1),
    ],
)
def test_a_piece_that_cannot_be_done_stops_no_other(
    open_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: Ended, reason: str, again: int
) -> None:
    monkeypatch.setattr(executor, "SECONDS_TO_APPEAR", 0.0)
    here = Here(lambda number, order: end if "rule 0" in order.pieces else order)
    with pytest.raises(AugrecError, match=f"(?s)1 of 2 shards failed.*rule 0: .*{reason}"):
        augment(open_run, here, profile_of(tmp_path, "attempts = 2"))
    assert here.asked().count(["rule 0"]) == again
    assert [piece.done() for piece in STAGES["augment"].pieces(open_run)] == [False, True]


def another(order: Order) -> Order:
    return replace(order, pieces=dict.fromkeys(order.pieces, "another"))


def nowhere(order: Order) -> Order:
    return replace(order, place=str(Path(order.place) / "nowhere"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [(another, "a node would make augment rule 0 from something else"), (nowhere, "a node does not see the folder")],
)
def test_a_node_that_differs_is_refused(
    open_run: Run, tmp_path: Path, change: Callable[[Order], Order], reason: str
) -> None:
    here = Here(lambda number, order: change(order))
    with pytest.raises(AugrecError, match=f"(?s)2 of 2 shards failed.*{reason}"):
        augment(open_run, here, profile_of(tmp_path))
    assert len(here.orders) == 2, "nobody is asked again"
    assert not any(open_run.folder.glob("augment/rule/*/shards/*"))


def test_asked_to_stop_it_cancels_and_begins_nothing(open_run: Run, tmp_path: Path) -> None:
    def fate(number: int, order: Order) -> Order:
        open_run.stop.requested = "SIGINT"
        return order

    here = Here(fate)
    with pytest.raises(Stopped, match="stopped by SIGINT"):
        augment(open_run, here, profile_of(tmp_path, "[stages.augment]\nthrottle = 1"))
    assert here.asked() == [["rule 0"]]
    assert [piece.done() for piece in STAGES["augment"].pieces(open_run)] == [True, False]


def test_what_fits_on_no_node_is_said_before_and_when_the_last_one_went(
    open_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile, here = profile_of(tmp_path, "[stages.augment]\ncpus = 64"), Here(slots=0)
    found = {finding.where: finding.what for finding in look_at_ray(open_run, profile, here)}
    assert found["stages.train in the profile"].startswith("no node of the Ray cluster has 1 CPU for ")
    assert not any(look_at_ray(open_run, profile, Here()))
    monkeypatch.setattr(executor, "SECONDS_BETWEEN_LOOKS", 0.0)
    monkeypatch.setattr(Here, "ended", lambda self, handles, seconds: {})
    with pytest.raises(AugrecError, match="no node of the cluster that is left has 1 CPU; there are: nothing"):
        augment(open_run, here, profile)


@pytest.mark.parametrize(
    ("text", "stage", "ask"),
    [
        ("", "train", Ask(1)),
        ("[defaults]\ncpus = 3\nmemory = '2G'", "train", Ask(3, 0, 2 << 30)),
        ("[stages.train]\ngpus = 2\nmemory = '512'", "train", Ask(1, 2, 512 << 20)),
        ("[stages.augment]\ngpus = 2\ncpus = 8", "augment", Ask(1)),  # rules need no such machine
    ],
)
def test_a_profile_says_what_tasks_ask_for(open_run: Run, tmp_path: Path, text: str, stage: str, ask: Ask) -> None:
    group = "rule" if stage == "augment" else "llmrec"
    assert ask_of(open_run, STAGES[stage], group, profile_of(tmp_path, text)) == ask


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "rya"}, "(?s)there is no executor 'rya'.*one of local, ray"),
        ({"name": "slurm"}, "(?s)there is no executor 'slurm'.*`augrec submit CONFIG"),
        ({"name": "local", "address": "head:6379"}, "--address is not for the executor 'local'"),
        ({"name": "local", "profile": Path("gpu.toml")}, "--profile is not for the executor 'local'"),
        ({"name": "ray", "workers": 2}, "--workers is not for the executor 'ray'"),
        ({"name": "ray"}, r"(?s)Ray is not installed.*augrec\[ray\]"),
        ({"name": "ray", "address": "ray://head:10001"}, "is no HOST:PORT"),
        ({"name": "ray", "address": "127.0.0.1:1"}, "(?s)no Ray cluster answers.*ray start --head"),
    ],
)
def test_wrong_options_are_refused(monkeypatch: pytest.MonkeyPatch, options: dict[str, object], message: str) -> None:
    there = "address" in options
    monkeypatch.setattr(cluster, "find_spec", lambda name: object() if there else None)
    with pytest.raises(UsageError, match=message), chosen_executor(**options):  # type: ignore[arg-type]
        pass
