"""Every command of the documents runs, on a toy run in place of theirs; those that cannot are named, with the reason.

The folder that the commands run in holds the files that the documents name (`WORLD`), so that the commands are run as
they stand there. Those of one document run in their order, as the tutorial's go on from each other.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from tests.kit.shell import Shell
from tests.kit.toy_config import write_config
from tests.kit.toy_run import finished_config
from tests.test_documents import DOCUMENTS, ROOT, command_lines

CONFIGS = ("configs/ml-100k/llmrec.yaml", "configs/ml-100k/demo.yaml")
"""What the documents call configs: the toy run's, called `shop`, as the tutorial calls its copy."""
RUNS = ("runs/ml-100k-llmrec", "runs/demo", "runs/shop", "runs/slow")
"""What they call run folders: the finished toy run."""
PLACEHOLDERS = {"RUN": "runs/shop", "CONFIG": "shop.yaml", "DIR": "new-folder", "FILE": "texts.csv"}
"""Words that stand for something of the reader's own, and what it is here; a new folder is another one each time."""
TEXTS = {
    "texts.csv": "user,item,text\nu1,i1,short and old\nu2,i2,long and new\n",
    "profiles.jsonl": '{"customer": "u1", "profile": "old"}\n{"customer": "u2", "profile": "new"}\n',
}
"""What they call files of texts that somebody has already."""
CANNOT = {
    "augrec compare": "encodes and trains for minutes, one of them from a published release",
    "augrec experiment": "trains for minutes",
    "augrec import llmrec": "needs the folder that LLMRec's authors released",
    "augrec import rlmrec": "needs the folder that RLMRec's authors released",
    "augrec run configs/llmrec-netflix/structure.yaml": "needs the folder that LLMRec's authors released",
    "augrec run configs/amazon-book/best.yaml": "needs the folder that RLMRec's authors released",
    "augrec run configs/ml-100k/llmrec.yaml generation.": "asks a language model of 7 billion weights",
    "augrec push": "uploads to a hub",
    "augrec requests": "hands the requests of a language model over to another machine and takes its answers",
    "augrec run shop.yaml name=shop-rules": "is the next command with rules for a model, which the toy run has already",
    "make demo": "the main job takes minutes; tests/augrec/pipeline/test_main_job.py runs it smaller",
    "make test": "it is what runs this test",
    "slurm/submit.sh configs/ml-100k/llmrec.yaml --profile slurm/profiles/gpu.toml": "needs SLURM and a GPU; with "
    "--dry-run it runs here, and tests with the marker `slurm` submit",
    "apptainer build augrec.sif slurm/augrec.def": "needs apptainer and its hub",
    "slurm/submit.sh CONFIG --profile slurm/profiles/apptainer.toml": "needs SLURM and a container",
    "export head=": "part of a job over several nodes with GPUs",
    "head -n 1": "part of a job over several nodes with GPUs",
    "srun bash -c": "part of a job over several nodes with GPUs",
    "echo --headless": "part of a job over several nodes with GPUs",
    "ray start": "makes a node of a Ray cluster; tests with the marker `ray` start two",
    "augrec run configs/ml-100k/llmrec.yaml --executor ray": "needs a Ray cluster; tests with that marker have one",
    "augrec validate --deep configs/ml-100k/llmrec.yaml --executor ray": "needs a Ray cluster",
    "until curl": "part of a job over several nodes with GPUs",
    "do kill": "part of a job over several nodes with GPUs",
    "exit 1": "part of a job over several nodes with GPUs",
    "sleep 10": "part of a job over several nodes with GPUs",
    "done": "part of a job over several nodes with GPUs",
    "augrec run CONFIG generation.sources.llm.engine.base_url=http://$head:8000/v1": "asks a server on several nodes",
    "status=$?": "part of a job over several nodes with GPUs",
    "kill $!": "part of a job over several nodes with GPUs",
    "exit $status": "part of a job over several nodes with GPUs",
    "jq -r": "needs jq",
    "select(.state": "an argument of jq",
    ".stage": "an argument of jq",
    "optuna studies": "reads a finished search of minutes",
    "optuna trials": "reads a finished search of minutes",
    "augrec run configs/ml-100k/llama4rec-": "teaches a language model, or asks one for minutes",
    "augrec instructions configs/ml-1m/llama4rec-direct.yaml": "needs MovieLens-1M",
    "python3 -m venv .venv-gpu": "installs gigabytes",
    ".venv-gpu/bin/": "needs a GPU and a model from the hub",
}
"""Beginnings of commands that do not run here, and why."""


def reason(words: list[str]) -> str | None:
    """Why a command does not run here; None where it does."""
    command = " ".join(words)
    if words[-1] == "--dry-run":
        return None
    return next((why for beginning, why in CANNOT.items() if command.startswith(beginning)), None)


def least(words: list[str]) -> list[str]:
    """The words without those in brackets, which may be left out, and without what is done with the output."""
    kept, depth = [], 0
    for word in words:
        opens = word.startswith("[")
        depth += opens
        if not depth and word != "2>/dev/null":
            kept.append(word)
        depth -= bool(depth and word.endswith("]"))
    return kept


RUNNING = {path.name: [words for words in command_lines(path) if reason(words) is None] for path in DOCUMENTS}


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


@pytest.fixture
def world(shell: Shell, finished_run: Path) -> Shell:
    """The files that the documents name, in the folder of the shell."""
    config = finished_config(finished_run.parent / "data") | {"name": "shop"}
    for name in CONFIGS:
        place = shell.folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        write_config(place, config)
    for name in RUNS:
        shutil.copytree(finished_run, shell.folder / name)
        resolved = shell.folder / name / "config.yaml"
        assert yaml.safe_load(resolved.read_text())["name"] == "toy"
    write_config(shell.folder / PLACEHOLDERS["CONFIG"], config)
    for name, text in TEXTS.items():
        (shell.folder / name).write_text(text)
    (shell.folder / "slurm").symlink_to(ROOT / "slurm")
    return shell


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [name for name, lines in RUNNING.items() if lines])
def test_every_command_of_a_document_runs(world: Shell, name: str) -> None:
    for number, (program, *given) in enumerate(RUNNING[name]):
        words = [PLACEHOLDERS.get(word, word) for word in least(given)]
        words = [f"{word}-{number}" if word == PLACEHOLDERS["DIR"] else word for word in words]
        if words[:2] == ["configs", "copy"]:  # the config of that name is the toy run's already
            words = [f"{number}.yaml" if word == PLACEHOLDERS["CONFIG"] else word for word in words]
        command = " ".join([program, *words])
        if program == "cp":
            shutil.copy(world.folder / words[0], world.folder / words[1])
            continue
        assert program in ("augrec", "slurm/submit.sh"), f"{command}: run it here, or name it in CANNOT"
        code, said = world(*(["submit"] if program == "slurm/submit.sh" else []), *words)
        assert code == 0, f"{command}\n{said}"


def test_what_is_said_not_to_run_stands_in_a_document() -> None:
    everything = [" ".join(words) for path in DOCUMENTS for words in command_lines(path)]
    assert [one for one in CANNOT if not any(command.startswith(one) for command in everything)] == []


def test_most_of_what_a_reader_types_is_run() -> None:
    assert {name for name, lines in RUNNING.items() if lines} >= {"start.md", "tutorial.md", "exchange.md", "faq.md"}
