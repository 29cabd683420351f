"""The whole chain on a real SLURM of one node, started for these tests and stopped after them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from augrec.artefacts.files import read_json
from tests.kit.machine_speed import patience
from tests.kit.waiting import wait_until

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(400)]
ROOT = Path(__file__).parents[5]
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue", "scancel")
PROFILE = """
attempts = 1
signal_before = 90
[defaults]
cpus = 1
memory = "500M"
time = "00:30:00"
[stages.train]
trainings_per_task = 4
"""
CONF = """
ClusterName=augrec
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket,cred_expire=5
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
KillWait=5
MinJobAge=2
SchedulerParameters=sched_interval=2,batch_sched_delay=0
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=2000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str | None:
    if missing := [name for name in PROGRAMS if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin") is None]:
        return f"{', '.join(missing)} not installed: apt-get install slurm-wlm munge"
    return None if os.getuid() == 0 else "starting slurmd needs root"


@dataclass
class Cluster:
    """A running SLURM; `environment` makes commands talk to it."""

    environment: dict[str, str]

    def __call__(self, *command: str | Path, check: bool = True) -> str:
        done = subprocess.run(
            list(map(str, command)),
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=patience(60),
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def wait(self, holds: Callable[[], object], what: str, seconds: float = 200) -> None:
        wait_until(holds, what, seconds, between=0.5, more=lambda: self("squeue"))

    def drain(self) -> None:
        """Waits until no job is left."""
        self.wait(lambda: not self("squeue", "--noheader").strip(), "the end of all jobs")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, finished_run: Path) -> Iterator[Cluster]:
    if reason := why_not():
        pytest.skip(reason)
    root = tmp_path_factory.mktemp("slurm")
    path = os.environ["PATH"] + ":/usr/sbin"
    environment = dict(os.environ, SLURM_CONF=str(root / "slurm.conf"), PATH=path)
    environment |= {
        "AUGREC": str(Path(sys.executable).with_name("augrec")),
        "AUGREC_CACHE": str(finished_run.parent / "cache"),
    }
    environment["PYTHONPATH"] = f"{Path(__file__).parents[1] / 'slow'}:{ROOT}"
    for name in [name for name in environment if name.startswith("SLURM_") and name != "SLURM_CONF"]:
        del environment[name]
    for name in ("state", "spool"):
        (root / name).mkdir()
    (root / "munge.key").write_bytes(os.urandom(64))
    (root / "munge.key").chmod(0o400)
    host = socket.gethostname().partition(".")[0]
    cpus = len(os.sched_getaffinity(0))
    (root / "slurm.conf").write_text(
        CONF.format(host=host, root=root, ports=_free_ports(2), cpus=os.cpu_count() or cpus)
    )
    made, munge = Cluster(environment), root / "munge.socket"
    daemons: list[tuple[list[str], Callable[[], bool]]] = [  # and how to see that they have started
        (["munged", "--foreground", "--force", f"--socket={munge}", f"--key-file={root}/munge.key",
          f"--pid-file={root}/munge.pid", f"--log-file={root}/munge.log", f"--seed-file={root}/munge.seed"],
         munge.exists),
        (["slurmctld", "-D", "-i"], lambda: " is UP" in made("scontrol", "ping", check=False)),
        (["slurmd", "-D"], lambda: "idle" in made("sinfo", "-h", "-o", "%T", check=False)),
    ]  # fmt: skip
    running: list[subprocess.Popen[bytes]] = []
    try:
        ended, logs = partial(_one_ended, running), partial(_logs, root)
        for command, ready in daemons:
            running.append(_started(command, environment, root / f"{command[0]}.out"))
            try:
                wait_until(ready, f"the start of {command[0]}", 60, between=0.2, lost=ended, more=logs)
            except AssertionError as failed:
                pytest.skip(f"SLURM does not start here: {failed}")
        yield made
    finally:
        for process in reversed(running):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()


def _one_ended(running: list[subprocess.Popen[bytes]]) -> str:
    return "one of the daemons has ended" if any(process.poll() is not None for process in running) else ""


def _logs(root: Path) -> str:
    return "\n".join(path.read_text(errors="replace")[-500:] for path in sorted(root.glob("*.log")))


def _started(command: list[str], environment: dict[str, str], out: Path) -> subprocess.Popen[bytes]:
    with out.open("wb") as sink:
        return subprocess.Popen(command, env=environment, stdout=sink, stderr=sink)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture
def place(cluster: Cluster, finished_run: Path, tmp_path: Path) -> Path:
    """A folder with a space in its name that holds a config and a profile; the run goes to `my run` in it."""
    folder = tmp_path / "with space"
    folder.mkdir()
    text = (finished_run.parent / "toy.yaml").read_text()
    (folder / "toy.yaml").write_text(f"{text}\noutput: {folder / 'my run'}\n")
    (folder / "cluster.toml").write_text(PROFILE)
    cluster.environment["AUGREC_TEST_SLOW"] = str(folder / "slow")
    cluster.environment["AUGREC_TEST_FAIL"] = str(folder / "fail")
    return folder


def submit(cluster: Cluster, place: Path, *more: str) -> dict[str, tuple[str, int]]:
    """Submits; name -> job id and number of tasks."""
    cluster(ROOT / "slurm" / "submit.sh", place / "toy.yaml", *more, "--profile", place / "cluster.toml")
    newest = max((place / "my run" / "slurm").glob("[0-9]*/jobs.json"))
    return {job["name"]: (job["id"], job["tasks"]) for job in read_json(newest)["jobs"]}


def events(place: Path, shard: int) -> list[str]:
    path = place / "my run" / "augment" / "rule" / "attempts" / f"{shard:05d}.jsonl"
    return [line["event"] for line in map(_json, path.read_text().splitlines())] if path.exists() else []


def _json(line: str) -> dict[str, str]:
    import json

    found: dict[str, str] = json.loads(line)
    return found


def answers(place: Path, shard: int) -> int:
    """Whole records in a shard's files."""
    files = (place / "my run").glob(f"augment/rule/*/shards/{shard:05d}-*")
    return sum(path.read_bytes().count(b"\n") for path in files)


def test_the_chain_with_a_stop_gives_what_a_plain_run_gives(cluster: Cluster, place: Path, finished_run: Path) -> None:
    (place / "slow").write_text(str(patience(0.3)))
    jobs = submit(cluster, place)
    assert list(jobs) == ["prepare", "candidates", "augment-rule", "merge", "embed-groups", "embed", "train", "report"]
    assert jobs["augment-rule"][1] == jobs["embed-groups"][1] == jobs["train"][1] == 2
    assert "still waiting or running" in cluster(ROOT / "slurm" / "submit.sh", place / "toy.yaml", check=False)
    cluster.wait(lambda: answers(place, 0), "the first answer")
    assert "running" in cluster(cluster.environment["AUGREC"], "status", place / "my run").lower()
    cluster("scancel", "--signal=USR1", "--batch", f"{jobs['augment-rule'][0]}_0")
    cluster.wait(lambda: "stopped" in events(place, 0), "the stop")
    (place / "slow").write_text("0")
    cluster.drain()
    assert events(place, 0) == ["start", "stopped", "start", "done"]
    log = place / "my run" / "slurm" / "logs" / f"augment-rule-{jobs['augment-rule'][0]}_0.out"
    assert "back into the queue (restart 0" in log.read_text()
    assert cluster(cluster.environment["AUGREC"], "logs", place / "my run", "--failed") == "nothing failed\n"
    results = Path("report") / "results.json"
    assert read_json(place / "my run" / results) == read_json(finished_run / results)
    assert "nothing to submit" in cluster(ROOT / "slurm" / "submit.sh", place / "toy.yaml")


def test_failed_and_cancelled_tasks_are_submitted_again(cluster: Cluster, place: Path) -> None:
    small = ("seeds=[1]", "training.epochs=1")
    run, augrec = place / "my run", cluster.environment["AUGREC"]
    (place / "fail").write_text("1")
    jobs = submit(cluster, place, *small)
    cluster.drain()
    assert (events(place, 0), events(place, 1)) == (["start", "done"], ["start", "failed"])
    assert not (run / "augment" / "stage.json").exists(), "nothing after the array was started"
    assert not (run / "embed").exists()
    (row,) = [line for line in cluster(augrec, "status", run).splitlines() if line.split()[:1] == ["rule"]]
    assert row.split()[:5] == ["rule", "partly", "1/2", "1", "1"]
    told = cluster(augrec, "logs", run, "--failed")
    assert "augment rule 1: RuntimeError: the engine fell over" in told
    assert f"augment-rule-{jobs['augment-rule'][0]}_1.out" in told

    (place / "fail").unlink()
    (place / "slow").write_text(str(patience(0.5)))
    before = answers(place, 1)
    jobs = submit(cluster, place, *small)
    assert next(iter(jobs.items())) == ("augment-rule", (jobs["augment-rule"][0], 1)), "the missing shard alone"
    cluster.wait(lambda: len(events(place, 1)) == 3, "the second attempt")
    cluster.wait(lambda: answers(place, 1) > before, "its first answer")
    cluster("scancel", jobs["augment-rule"][0])
    cluster.drain()
    assert events(place, 1)[-1] == "stopped", "cancelled, and not put back"

    (place / "slow").unlink()
    submit(cluster, place, *small)
    cluster.drain()
    assert (run / "report" / "results.json").exists()
    assert cluster(augrec, "logs", run, "--failed") == "nothing failed\n"
