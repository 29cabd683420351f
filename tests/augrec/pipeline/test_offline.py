"""The main job uses no network: every attempt of any of its processes is refused, written down, and counted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from augrec.artefacts.files import read_json
from tests.kit.real_parts import SMOLLM2
from tests.kit.toy_config import EMBEDDING, toy_config, write_config

HERE = Path(__file__).parent
HEURISTIC = {"kind": "heuristic"}
SMALL = {
    "kind": "vllm", "model": SMOLLM2, "max_model_len": 1024, "max_num_seqs": 8, "block": 1, "kv_cache_gib": 0.5,
}  # fmt: skip
SECTIONS = """
dataset: {min_rating: null, sample_users: 12}
models: {llmrec: {family: llmrec, dim: 8}}
training: {epochs: 1}
workers: 2
variants: {llmrec: {model: llmrec, source: writer}}
"""
UP = 'ip link set lo up && exec "$@"'


@cache
def own_network() -> tuple[str, ...]:
    """What to put before a command so that it finds no network but the loopback; empty where that is refused."""
    for options in (("-n",), ("-r", "-n")):
        command = ("unshare", *options, "sh", "-c", UP, "sh")
        if (
            shutil.which("unshare")
            and subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
        ):
            return command
    return ()


@pytest.fixture
def attempts(tmp_path: Path) -> Path:
    """The file of attempts."""
    return tmp_path / "network.txt"


@pytest.fixture
def offline(attempts: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Python in a process that may not use the network, and whose children may not."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = dict(os.environ, AUGREC_TEST_NETWORK=str(attempts))
        environment["PYTHONPATH"] = f"{HERE / 'offline'}:{HERE.parents[2]}"
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
            environment.pop(name, None)  # augrec must need no help
        command = [*own_network(), sys.executable, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


def lines(attempts: Path) -> tuple[list[str], list[str]]:
    """Guarded processes, and attempts."""
    found = attempts.read_text().splitlines()
    guarded = [line for line in found if line.startswith("guarded ")]
    return guarded, [line for line in found if line not in guarded]


REACHES_OUT = """
import multiprocessing, socket

def reach():
    try:
        socket.socket().connect(("192.0.2.1", 80))
    except OSError as error:
        print(error)

if __name__ == "__main__":
    reach()
    for host in ("example.invalid", b"example.invalid"):
        try:
            socket.getaddrinfo(host, 443)
        except OSError as error:
            print(error)
    child = multiprocessing.get_context("spawn").Process(target=reach)
    child.start()
    child.join()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()[:2]):
        print("the loopback is open")
"""


def test_the_guard_catches_what_reaches_out(
    offline: Callable[..., subprocess.CompletedProcess[str]], attempts: Path, tmp_path: Path
) -> None:
    (tmp_path / "reach.py").write_text(REACHES_OUT)
    ended = offline(str(tmp_path / "reach.py"))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("the test refuses the network") == 4
    assert "the loopback is open" in ended.stdout
    guarded, tried = lines(attempts)
    assert len(guarded) >= 2
    assert [line.split()[:2] for line in tried] == [
        ["socket.connect", "192.0.2.1"],
        ["socket.getaddrinfo", "example.invalid"],
        ["socket.getaddrinfo", "example.invalid"],
        ["socket.connect", "192.0.2.1"],
    ]
    assert len({line.split()[3] for line in tried}) == 2, "the child's attempt is its own"


NATIVE = """
import ctypes, errno, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
address = struct.pack("=H", socket.AF_INET) + struct.pack(">H", 80) + socket.inet_aton("192.0.2.1") + bytes(8)
handle = libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
print(libc.connect(handle, address, len(address)), errno.errorcode[ctypes.get_errno()])
"""


def test_native_code_has_no_network_either(offline: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    if not own_network():
        pytest.skip("a network namespace takes root, or user namespaces, and `ip`")
    assert offline("-c", NATIVE).stdout == "-1 ENETUNREACH\n"


def finishes(
    offline: Callable[..., subprocess.CompletedProcess[str]],
    attempts: Path,
    run: Path,
    data: Path,
    engine: dict[str, Any],
) -> dict[str, object]:
    """Runs the main job and returns the summary of generation."""
    generation = {"shards": 2, "max_history": 6, "sources": {"writer": {"engine": engine}}}
    content = toy_config(data, EMBEDDING, SECTIONS, {"generation": generation})
    config = write_config(run.with_suffix(".yaml"), content)
    ended = offline("-m", "augrec.cli", "run", str(config), f"output={run}")
    guarded, tried = lines(attempts)
    assert tried == []
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(guarded) >= 3, "the job and its two trainings"
    assert (run / "report" / "index.html").is_file()
    summary: dict[str, object] = read_json(run / "augment" / "summary.json")["totals"]
    return summary


@pytest.mark.slow
def test_the_main_job_without_a_network(
    offline: Callable[..., subprocess.CompletedProcess[str]],
    attempts: Path,
    tmp_path: Path,
    toy_data: Path,
    embedder: str,
) -> None:
    summary = finishes(offline, attempts, tmp_path / "rule", toy_data, HEURISTIC)
    assert summary["ok"] == summary["requests"] != 0


@pytest.mark.vllm
def test_the_main_job_with_a_real_llm_without_a_network(
    offline: Callable[..., subprocess.CompletedProcess[str]],
    attempts: Path,
    tmp_path: Path,
    toy_data: Path,
    embedder: str,
) -> None:
    summary = finishes(offline, attempts, tmp_path / "llm", toy_data, SMALL)
    assert summary["requests"]
    assert int(str(summary["ok"])) >= 0.9 * int(str(summary["requests"]))
