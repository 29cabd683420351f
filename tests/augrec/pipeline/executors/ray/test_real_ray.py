"""The chain on a real Ray cluster of two nodes with a core each, a stopped command and a killed worker."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from augrec.artefacts.files import read_json
from augrec.pipeline.host.stopping import AGAIN
from augrec.pipeline.stages import STAGES
from augrec.pipeline.stages.base import Run
from tests.augrec.pipeline.executors.conftest import SLOW
from tests.kit.machine_speed import patience
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


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of two nodes on this machine, whose workers have the slow engine."""
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="Ray is missing: pip install 'augrec[ray]'")
    monkeypatch.setenv("PYTHONPATH", f"{SLOW}:{ROOT}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    cluster = cluster_utils.Cluster()
    try:
        cluster.add_node(**node(), include_dashboard=False)
        cluster.add_node(**node())
        yield cluster.address
    finally:
        cluster.shutdown()
        for number, handler in before.items():
            signal.signal(number, handler)


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


def test_a_run_survives_ctrl_c_and_a_killed_worker(
    open_run: Run, finished_run: Path, tmp_path: Path, address: str, start: Callable[..., subprocess.Popen[str]]
) -> None:
    command = ("run", str(tmp_path / "toy.yaml"), "--executor", "ray", "--address", address)
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
    (tmp_path / "slow").write_text("0")
    said, _ = again.communicate(timeout=patience(240))
    assert again.returncode == 0, said
    assert f"augment rule {int(shard)}: its worker ended (WorkerCrashedError" in said
    assert "Traceback" not in said
    results = "report/results.json"
    assert read_json(open_run.folder / results) == read_json(finished_run / results)
    assert STAGES["train"].pieces(open_run)[0].attempts.state().last["pid"] != again.pid
