"""Starts the trainer in its own environment, shows its progress, and turns its end into a result or an error."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from augrec.artefacts.energy import EnergyMeter, add_joules
from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.files import read_json
from augrec.artefacts.progress import Ticker, progress, say
from augrec.artefacts.tune_folder import TuneFolder
from augrec.pipeline.host.stopping import AGAIN, Stopped
from augrec.pipeline.tuning import start
from augrec.pipeline.tuning.environment import TuneEnvironment
from augrec.pipeline.tuning.number_format import begun_in
from augrec.pipeline.tuning.settings import TrainerSettings

SECONDS_TO_END = 60.0
"""How long the trainer may take to write a checkpoint when it is told to stop; a cluster's own patience is shorter."""


def finished_training(files: TuneFolder, settings: TrainerSettings) -> dict[str, Any] | None:
    """What came of a training with these very settings; None where it was not finished."""
    if not files.outcome.exists() or not all(folder.is_dir() for folder in settings.made(files)):
        return None
    outcome: dict[str, Any] = read_json(files.outcome, remedy="delete this file; the model is trained again")
    return outcome if outcome.get("fingerprint") == begun_in(settings, files).fingerprint else None


def launch(
    environment: TuneEnvironment, settings: TrainerSettings, files: TuneFolder, accelerate: Path | None = None
) -> dict[str, Any]:
    """Trains in a process of its own, from the last checkpoint where there is one.

    Args:
        environment: what runs it.
        settings: what is trained.
        files: where it lies.
        accelerate: a config of `accelerate launch`, for several GPUs.

    Returns:
        What the trainer wrote last, see `augrec.pipeline.tuning.trainer`.

    Raises:
        AugrecError: the trainer failed, or could not be started.
        Stopped: it was told to stop; it goes on next time.
    """
    files.outcome.unlink(missing_ok=True)
    settings.write(files.settings)
    meter = EnergyMeter()
    try:
        with meter, files.log.open("ab") as log, _running(command(environment, files, accelerate), log) as process:
            failed = _follow(process)
    finally:
        add_joules(files.energy, meter.joules)
    if failed is not None:
        kind = UsageError if process.returncode == UsageError.exit_code else AugrecError
        raise kind(str(failed.get("what")), where=failed.get("where") or files.log, remedy=failed.get("remedy"))
    if process.returncode == AGAIN:
        raise Stopped("a signal to the trainer")
    outcome = finished_training(files, settings)
    if process.returncode or outcome is None:
        raise AugrecError(
            f"the trainer ended with {_ending(process.returncode)}: {_last_words(files.log)}",
            where=files.log,
            remedy="mend the cause and run the same command again: it goes on from the last checkpoint",
        )
    return outcome


def command(environment: TuneEnvironment, files: TuneFolder, accelerate: Path | None) -> list[str]:
    """The words that start the trainer."""
    python, program = str(environment.python.absolute()), [str(Path(start.__file__).absolute())]
    if accelerate is not None:
        launcher = ["-m", "accelerate.commands.launch", "--config_file", str(accelerate.absolute())]
        return [python, *launcher, *program, str(files.settings.absolute())]
    return [python, *program, str(files.settings.absolute())]


def environment_variables() -> dict[str, str]:
    """Those of this process, without what would lead to this environment's packages, a network or other threads."""
    own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    return own | {
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


@contextmanager
def _running(words: list[str], log: IO[bytes]) -> Iterator[subprocess.Popen[str]]:
    """The process, in a group of its own; ended when the block is left, after it was asked to."""
    process = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment_variables(), text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield process
        process.wait()
    except BaseException:
        _signal(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_END)
        raise
    finally:
        if process.poll() is None:
            _signal(process, signal.SIGKILL)
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _follow(process: subprocess.Popen[str]) -> dict[str, Any] | None:
    """Shows what the trainer says until it says no more; the error that it told of, if it did."""
    assert process.stdout is not None
    facts = _facts(process.stdout)
    begun = next((fact for fact in facts if "steps" in fact or "failed" in fact), {})
    if "steps" not in begun:
        return begun.get("failed")
    done = int(begun["done"])
    steps = int(begun["steps"])
    if done:
        say(f"tune  {done} kept, {steps - done} to go")
    with progress("tune", steps - done, "steps", whole=steps) as ticker:
        for fact in facts:
            if "failed" in fact:
                failed: dict[str, Any] = fact["failed"]
                return failed
            done = _show(ticker, fact, done)
    return None


def _show(ticker: Ticker, fact: dict[str, Any], done: int) -> int:
    step = int(fact.get("step", done))
    ticker.note(f"loss {fact['loss']:.3f}" if "loss" in fact else "")
    ticker.advance(step - done)
    return step


def _facts(lines: IO[str]) -> Iterator[dict[str, Any]]:
    """The JSON objects among the lines: a launcher prints others."""
    for line in lines:
        with suppress(ValueError):
            fact = json.loads(line)
            if isinstance(fact, dict):
                yield fact


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def _last_words(log: Path) -> str:
    """The last line of the log that says something, shortened."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][-300:] if lines else "it said nothing"
