"""The same requests answered by whole commands: ours, a bare `LLM.generate`, vLLM's run-batch, datatrove's runner.

Each command loads the weights, answers and writes a file. Engine settings, prompts, seeds, sampling and schemas are the
same for all.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from augment.engines.openai.batch_file import BatchFileEngine
from augment.engines.openai.options import OpenAIOptions
from augment.engines.vllm.engine import VllmEngine
from augment.messages import Request
from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import write_text
from augrec.artefacts.huge_pages import HUGE_PAGES
from augrec.artefacts.run_folder import RunFolder
from benchmarks.augmentation_turns import Spent, Turns, in_turns
from benchmarks.augmentation_work import SOURCE, THREADS, Work, answers_in, valid_share

OURS, BARE, RUN_BATCH, DATATROVE = "augrec augment", "LLM.generate", "vLLM's run-batch", "datatrove's InferenceRunner"
SERVED = "small"
DEADLINE = 900.0
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_NUM_THREADS": str(THREADS),
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}


@dataclass(frozen=True)
class Ended:
    """What a command took: seconds, and the most memory that its largest process held, in bytes."""

    spent: Spent
    peak: int


@dataclass(frozen=True)
class Compared:
    """The commands that could run, what they cost and gave; and why the others could not."""

    requests: int
    turns: Turns
    peaks: dict[str, int]
    valid: dict[str, float]
    absent: dict[str, str]


def commands(work: Work, rounds: int, folder: Path, chosen: Sequence[str] = ()) -> Compared:
    """Ours and the commands of `chosen` in turns; all where there are none."""
    folder.mkdir(parents=True, exist_ok=True)
    requests, settings = asked(work, folder / "chat.log")
    batch = folder / "batch.jsonl"
    write_batch(requests, batch)
    write_text(folder / "settings.json", json.dumps(settings))
    everybody, absent = contenders(work, settings, batch, folder)
    ways = {name: way for name, way in everybody.items() if name in (OURS, *(chosen or everybody))}
    absent = {name: why for name, why in absent.items() if name in (chosen or absent)}
    peaks: dict[str, int] = {}
    texts: dict[str, dict[str, str]] = {}

    def turn(name: str) -> Spent:
        command, environment, read = ways[name]
        ended = timed(name, command, folder / "commands.log", environment)
        peaks[name] = max(ended.peak, peaks.get(name, 0))
        texts[name] = read()
        return ended.spent

    turns = in_turns({name: partial(turn, name) for name in ways}, rounds)
    return Compared(
        len(requests), turns, peaks, {name: valid_share(requests, found) for name, found in texts.items()}, absent
    )


Way = tuple[list[str], dict[str, str], Callable[[], dict[str, str]]]


def contenders(
    work: Work, settings: dict[str, Any], batch: Path, folder: Path
) -> tuple[dict[str, Way], dict[str, str]]:
    """Command, environment and reader of results by name; and why others are absent."""
    here = {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)}
    script = [sys.executable, "-m"]
    texts = RunFolder(work.run).source(SOURCE).root
    files = {name: folder / f"{name}.jsonl" for name in ("bare", "run-batch", "datatrove")}
    given = [str(batch), str(folder / "settings.json")]
    ways: dict[str, Way] = {
        OURS: (
            [*script, "augrec.cli", "augment", str(work.config), "--force"],
            here,
            partial(answers_in, texts, work.source.tasks),
        ),
        BARE: (
            [*script, "benchmarks.augmentation_bare", *given, str(files["bare"])],
            here,
            partial(read_results, files["bare"]),
        ),
        RUN_BATCH: (
            [
                *(*script, "vllm.entrypoints.openai.run_batch", "-i", str(batch), "-o", str(files["run-batch"])),
                *("--served-model-name", SERVED, *flags(settings)),
            ],
            {},
            partial(read_results, files["run-batch"]),
        ),
    }
    absent = {}
    if importlib.util.find_spec("datatrove") is None:
        absent[DATATROVE] = "not installed: `make bench` does"
    else:
        ways[DATATROVE] = (
            [*script, "benchmarks.augmentation_datatrove", *given, str(files["datatrove"])],
            here,
            partial(read_results, files["datatrove"]),
        )
    return ways, absent


def asked(work: Work, log: Path) -> tuple[list[Request], dict[str, Any]]:
    """The requests, and the engine's settings as vLLM's own arguments."""
    from vllm.platforms import current_platform

    from augment.engines.vllm.start import engine_settings

    with VllmEngine(work.engine, work.model.path, work.model.sha256, log) as engine:
        return work.requests(engine), engine_settings(work.engine, work.model.path, current_platform.is_cpu())


def write_batch(requests: Sequence[Request], path: Path) -> None:
    """The requests in OpenAI's batch format, with the seeds that our engine uses."""
    options = OpenAIOptions(base_url="http://127.0.0.1/v1", model=SERVED, slack=1.0)
    engine = BatchFileEngine(options, [])
    write_text(path, "".join(f"{engine.line(request)}\n" for request in requests))


def flags(settings: Mapping[str, Any]) -> list[str]:
    """Arguments of `LLM` as those of vLLM's command line; a `disable_...` that is off has none."""
    found = []
    for name, value in settings.items():
        flag = name.replace("_", "-")
        if value is None or (value is False and name.startswith("disable_")):
            continue
        if isinstance(value, bool):
            found.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            found.append(f"--{flag}={json.dumps(value) if isinstance(value, dict) else value}")
    return found


def timed(name: str, command: list[str], log: Path, environment: Mapping[str, str]) -> Ended:
    """Runs a command to its end; raises when it fails or takes longer than `DEADLINE`."""
    own = (HUGE_PAGES, "1")  # by this process: ours asks by itself, and a script does not
    variables = {**dict(pair for pair in os.environ.items() if pair != own), **QUIET, **environment}
    with log.open("ab") as sink:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=sink, stderr=sink, env=variables, start_new_session=True)
        signal.signal(signal.SIGALRM, _too_long)
        signal.setitimer(signal.ITIMER_REAL, DEADLINE)
        try:
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - begun
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what it left behind, or all of it after an interruption
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        last = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
        raise AugrecError(f"{name} failed with status {process.returncode}: {shlex.join(command)}\n{last}")
    return Ended(
        Spent(wall, usage.ru_utime + usage.ru_stime), usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    )


def _too_long(*_: object) -> None:
    raise AugrecError(f"a command did not end within {DEADLINE:g} s")


def read_results(path: Path) -> dict[str, str]:
    """Texts by request name from a file of batch results; requests without an answer are left out."""
    texts = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        body = (entry.get("response") or {}).get("body")
        if body:
            texts[entry["custom_id"]] = body["choices"][0]["message"]["content"] or ""
    return texts
