"""Runs stages and trainings of a config and prints, as JSON, which of the project's modules each of them ran.

`python traced_run.py CONFIG`. A module counts as run when it is imported meanwhile or when one of its functions is
called; those that reading the config imports beforehand count only when they are called.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import augrec
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.identity.import_closure import NOT_COUNTED, PACKAGES, import_closure
from augrec.pipeline.stages import chain
from augrec.pipeline.stages.base import Run, Stage
from augrec.pipeline.stages.train import trainings_of
from augrec.pipeline.training.variant_training import code_of, train_one

ROOT = Path(augrec.__file__).parent.parent
EXCEPTED = {
    "embed": {"augment.options"},  # is asked which sources bring vectors, which their values say
    # The first turns the config, which is identified by its values, into plain values; the others make identities (of
    # what a probe of texts found, which is kept), no outputs.
    "report": {"recsys.options", "augrec.artefacts.cache", "augrec.pipeline.identity.import_closure"},
}


def modules_run(work: Callable[[], Any]) -> set[str]:
    """Names of the project's modules that the work ran."""
    files: set[str] = set()

    def called(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            files.add(frame.f_code.co_filename)

    before = set(sys.modules)
    threading.setprofile(called)
    sys.setprofile(called)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            work()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    paths = [Path(file).relative_to(ROOT) for file in files if file.startswith(f"{ROOT}/")]
    called_names = {_name(path) for path in paths}
    return {
        name
        for name in called_names | (set(sys.modules) - before)
        if name.replace("/", ".").partition(".")[0] in PACKAGES
    }


def _name(path: Path) -> str:
    """A module by its dotted name; a template, which is compiled and called too, by its path."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__") if path.suffix == ".py" else path.as_posix()


def main(config_path: Path) -> None:
    run = Run(read_config(config_path))
    run.files.begin()
    lacking: dict[str, list[str]] = {}

    def check(name: str, code: tuple[str, ...], work: Callable[[], Any]) -> None:
        closure = import_closure(code)
        templates = {path.relative_to(ROOT).as_posix() for path in closure.data.values()}
        covered = {*closure.modules, *templates, *NOT_COUNTED, *EXCEPTED.get(name, ())}
        lacking[name] = sorted(modules_run(work) - covered)

    for stage in chain(run.config):
        name = stage.name
        if name == "train":
            for training in trainings_of(run):
                code = code_of(run.config, run.config.variants[training.variant])
                check(f"training {training.variant}", code, partial(train_one, training, False))
        identity = stage.identity(run)
        check(name, stage.code(run), partial(_do, stage, run, identity))
    print(json.dumps(lacking))


def _do(stage: Stage, run: Run, identity: dict[str, Any]) -> None:
    stage.complete(run, identity, stage.finish(run), 0.0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
