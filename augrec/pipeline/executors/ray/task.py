"""What a task does on a node of a Ray cluster: pieces of a stage, into the run folder that all nodes share.

A task is told which pieces, and returns how it ended; nothing else goes through Ray. The node looks at the run itself,
so that what another version of the program or other data would make is refused and not mixed in.
"""

from __future__ import annotations

import os
import pickle
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from augrec.artefacts.confinement import confined
from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.plugins import load_plugins
from augrec.artefacts.run_log import kept

if TYPE_CHECKING:
    from augrec.pipeline.stages.base import Piece, Run, Stage

OWN_VARIABLES = "AUGREC_"
"""How the variables begin that a task is given from the environment of the command."""
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True)
class Order:
    """What a node is asked to do."""

    stage: str
    pieces: dict[str, str | None]
    """Names of pieces of one group, in order, each with the fingerprint that the command knows it by."""
    config: bytes
    """The config, pickled: it is read when everything it needs is in place."""
    place: str
    """The folder that relative paths of the config count from."""
    beside: int
    """See `Run.beside`."""
    gpus: int
    """How many it was given; with none it sees none."""
    variables: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run, stage: Stage, pieces: tuple[Piece, ...], *, beside: int, gpus: int) -> Order:
        """The order for pieces of a run, with this process's folder and variables."""
        variables = {name: value for name, value in os.environ.items() if name.startswith(OWN_VARIABLES)}
        named = {piece.name: piece.attempts.fingerprint for piece in pieces}
        return cls(stage.name, named, pickle.dumps(run.config), str(Path.cwd()), beside, gpus, variables)


@dataclass(frozen=True)
class Ended:
    """How a task ended."""

    outcome: Literal["done", "failed", "refused", "stopped", "lost"]
    """`failed`: the first piece that is not done; `refused`: none of them can be done so; `lost`: its worker or its
    node died, or whoever has it cannot be reached."""
    reason: str = ""


def do_order(order: Order) -> Ended:
    """Does the pieces of an order that are not done, in a process that does nothing before or after it."""
    try:
        os.chdir(order.place)
    except OSError as error:
        return Ended("refused", f"a node does not see the folder {order.place} ({error.strerror}): {_SHARED}")
    os.environ.update(OFFLINE | order.variables | {"TTY_COMPATIBLE": "0"})
    if not order.gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    from augrec.pipeline.host.stopping import Stopped
    from augrec.pipeline.host.workers import reason
    from augrec.pipeline.stages.base import Run

    try:
        load_plugins()
        run = Run(pickle.loads(order.config), beside=order.beside)
        with run.stop.listening():
            _do(run, order)
    except Stopped as stop:
        return Ended("stopped", stop.what)
    except UsageError as error:
        return Ended("refused", reason(error))
    except Exception as error:
        if not isinstance(error, AugrecError):
            traceback.print_exc()  # into Ray's log of the worker
        return Ended("failed", reason(error))
    return Ended("done")


_SHARED = "the folder of the run, and the one that the command is started in, have to be on a disk of all nodes"


def _do(run: Run, order: Order) -> None:
    from augrec.pipeline.executors.pieces import InOrder, locked
    from augrec.pipeline.stages import STAGES

    if not run.files.config.exists():
        raise UsageError("a node does not see the run", where=run.folder.absolute(), remedy=_SHARED)
    stage = STAGES.find(order.stage)
    with confined(run.folder), kept(run.files.log, run.files.at_work):
        found = {piece.name: piece for piece in stage.pieces(run) if piece.name in order.pieces}
        for name, fingerprint in order.pieces.items():
            if name not in found or found[name].attempts.fingerprint != fingerprint:
                raise UsageError(
                    f"a node would make {order.stage} {name} from something else than the command that asked for it",
                    where=f"the node {os.uname().nodename}",
                    remedy="the same version of augrec, of plug-ins and of models has to be on all nodes",
                )
        mine = list(found.values())
        with locked(mine):
            InOrder(None).do(run, stage, mine)
