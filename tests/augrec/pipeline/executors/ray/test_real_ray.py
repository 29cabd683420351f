"""A real Ray cluster of two nodes with a core each: a stopped command, a killed worker, a dead node, and studies."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from augrec.artefacts.files import read_json
from augrec.pipeline.folders.standing import standing
from augrec.pipeline.host.stopping import AGAIN
from augrec.pipeline.stages import STAGES
from augrec.pipeline.stages.base import Run
from augrec.pipeline.studies.comparison.plan import read_compare
from augrec.pipeline.studies.comparison.run import run_compare
from augrec.pipeline.studies.execution import Execution
from tests.augrec.pipeline.executors.conftest import SLOW
from tests.kit.html_pages import PageReader
from tests.kit.machine_speed import patience
from tests.kit.toy_comparison import smallest_comparison
from tests.kit.toy_config import toy_config, write_config
from tests.kit.toy_run import in_this_process, silent
from tests.kit.waiting import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[5]
OBJECTS = 80 << 20
"""Bytes of shared memory of a node, nearly the least that Ray takes: nothing is put there."""
AGENTS = ("metrics_agent_port", "metrics_export_port", "runtime_env_agent_port", "dashboard_agent_listen_port")
"""Ports of a node's helpers. Ray waits half a minute for those that choose their own, and gives a busy machine up."""


def node() -> dict[str, int]:
    """What a node is started with: a core, and ports that are free now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in AGENTS]
        for one in sockets:
            one.bind(("", 0))
        ports = dict(zip(AGENTS, (one.getsockname()[1] for one in sockets), strict=True))
    return {"num_cpus": 1, "object_store_memory": OBJECTS, **ports}


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """Ray's own stand-in for several machines, on this one; its workers have the slow engine."""
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="Ray is missing: pip install 'augrec[ray]'")
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", f"{SLOW}:{ROOT}:{os.environ.get('PYTHONPATH', '')}")
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        environment.setenv("RAY_worker_niceness", "0")  # 15 unless told: last on a busy machine
        environment.delenv("RAY_ADDRESS", raising=False)
        cluster = cluster_utils.Cluster()
        try:
            cluster.add_node(**node(), include_dashboard=False)
            yield cluster
        finally:
            cluster.shutdown()
            for number, handler in before.items():
                signal.signal(number, handler)


@pytest.fixture
def cluster(nodes: Any) -> Any:
    """The head and one more; a test may let the other die."""
    if not nodes.worker_nodes:
        nodes.add_node(**node())
    return nodes


def begun(run: Run) -> dict[str, int]:
    """The processes that are at shards, by shard: whose last line says that they began."""
    found = {}
    for path in run.folder.glob("augment/rule/attempts/*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
        if lines and lines[-1]["event"] == "start":
            found[path.stem] = lines[-1]["pid"]
    return found


def ended(command: subprocess.Popen[str]) -> str:
    """What a command said that has ended; "" while it works."""
    return "" if command.poll() is None else f"exit code {command.returncode}: {command.communicate()[0]}"


def gone(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    return True


def test_a_run_survives_ctrl_c_a_killed_worker_and_a_node_that_dies(
    open_run: Run, finished_run: Path, tmp_path: Path, cluster: Any, start: Callable[..., subprocess.Popen[str]]
) -> None:
    command = ("run", str(tmp_path / "toy.yaml"), "--executor", "ray", "--address", cluster.address)
    stopped = start(*command, slow=1.0)
    wait_until(lambda: len(begun(open_run)) == 2, "a shard on each node", lost=lambda: ended(stopped))
    workers = begun(open_run).values()
    stopped.send_signal(signal.SIGINT)
    said, _ = stopped.communicate(timeout=patience(60))
    assert stopped.returncode == AGAIN, said
    wait_until(lambda: all(map(gone, workers)), "the end of both workers")
    assert not begun(open_run), "what was under way says that it was stopped"
    assert not any(piece.done() for piece in STAGES["augment"].pieces(open_run))

    again = start(*command, slow=1.0)
    wait_until(lambda: len(begun(open_run)) == 2, "a shard on each node", lost=lambda: ended(again))
    shard, worker = min(begun(open_run).items())
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: begun(open_run).get(shard, worker) != worker, "another worker", lost=lambda: ended(again))
    (node_two,) = cluster.worker_nodes
    workers = begun(open_run).values()
    cluster.remove_node(node_two, allow_graceful=False)
    wait_until(lambda: any(map(gone, workers)), "the end of what was on the node")  # else it finishes its shard first
    (tmp_path / "slow").write_text("0")
    shards = STAGES["augment"].pieces(open_run)
    wait_until(lambda: all(one.done() for one in shards), "the end of both shards", lost=lambda: ended(again))
    cluster.add_node(**node())  # one that comes while a command runs is used as well
    said, _ = again.communicate(timeout=patience(240))
    assert again.returncode == 0, said
    assert f"augment rule {int(shard)}: its worker ended (WorkerCrashedError" in said
    assert "Traceback" not in said
    assert said.count("it is asked for again") >= 2, said  # the killed worker's, and what was on the node
    results = "report/results.json"
    assert read_json(open_run.folder / results) == read_json(finished_run / results)
    assert STAGES["train"].pieces(open_run)[0].attempts.state().last["pid"] != again.pid


EXPERIMENT = """
candidates: {model: graph}
models: {graph: {family: lightgcn, dim: 8, layers: 1}}
variants: {graph: {model: graph}, popular: {model: popular}}
report: {baseline: graph, bootstrap: null}
"""


def test_an_experiment_and_a_comparison_at_once_come_to_their_pages(
    tmp_path: Path, toy_data: Path, cluster: Any, start: Callable[..., subprocess.Popen[str]]
) -> None:
    experiment = {
        "name": "studied",
        "output": str(tmp_path / "experiment"),
        "base": toy_config(toy_data, EXPERIMENT),
        "tables": {"main": {"title": "Main", "metrics": ["recall@10"], "baseline": "graph", "bootstrap": 100}},
    }
    folders, commands = {}, {}
    compare = smallest_comparison(toy_data, tmp_path / "compare")
    for kind, content in (("experiment", experiment), ("compare", compare)):
        folders[kind] = tmp_path / kind
        path = write_config(tmp_path / f"{kind}.yaml", content)
        commands[kind] = start(kind, str(path), "--executor", "ray", "--address", cluster.address)
    for kind, command in commands.items():
        said, _ = command.communicate(timeout=patience(200))
        assert command.returncode == 0, said
        assert "Traceback" not in said
        assert standing(folders[kind]).state == "done"
        assert PageReader((folders[kind] / "index.html").read_text(encoding="utf-8")).texts
        lines = [line for path in folders[kind].glob("**/attempts.jsonl") for line in path.read_text().splitlines()]
        pids = [event["pid"] for event in map(json.loads, lines) if event["event"] == "start"]
        assert len(set(pids)) == len(pids) >= 2, "every training is begun once, by a worker of its own"
        assert command.pid not in pids

    (table,) = read_json(folders["experiment"] / "results.json")["tables"]
    assert {row["variant"]: row["problem"] for row in table["rows"]} == {"graph": None, "popular": None}
    here = read_compare(write_config(tmp_path / "here.yaml", smallest_comparison(toy_data, tmp_path / "here")))
    with in_this_process():
        run_compare(here, Execution(silent()))
    of_all = [judged(read_json(folder / "compare.json")) for folder in (folders["compare"], here.folder)]
    assert of_all[0] == of_all[1]
    assert len(of_all[0]) == 2


def judged(found: dict[str, Any]) -> list[tuple[str, object, object]]:
    """Of each arm the weight that was chosen for it, and what it reaches."""
    return [(row["arm"], row["scale"], row["groups"]["all"]["recall@10"]["mean"]) for row in found["downstream"]]
