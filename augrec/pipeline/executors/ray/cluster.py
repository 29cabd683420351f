"""Ray's own calls: a cluster that does orders, and what became of them. Nothing else imports Ray."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

from augrec.artefacts.errors import UsageError
from augrec.artefacts.memory import size_in_words
from augrec.artefacts.visible import one_line
from augrec.pipeline.executors.ray.task import Ended, Order, do_order

AUTO = "auto"
SECONDS_TO_CONNECT = 10.0
MOST_LETTERS = 200
"""Of what Ray says of a task that was lost."""
INSTALL = "python -m pip install 'augrec[ray]', on every node"
START = "ray start --head --disable-usage-stats here and ray start --address=HOST:6379 on the others; or --address"


@dataclass(frozen=True)
class Ask:
    """What a task needs of one node."""

    cpus: int
    gpus: int = 0
    memory: int | None = None
    """In bytes; None asks for none."""

    def amounts(self) -> dict[str, int]:
        """By the names that Ray gives resources."""
        return {
            name: amount
            for name, amount in (("CPU", self.cpus), ("GPU", self.gpus), ("memory", self.memory or 0))
            if amount
        }

    def __str__(self) -> str:
        parts = [f"{self.cpus} CPU", f"{self.gpus} GPU" if self.gpus else ""]
        return ", ".join(part for part in (*parts, size_in_words(self.memory) if self.memory else "") if part)


Handle = Any
"""An order that is under way, as the cluster knows it."""


class Cluster(Protocol):
    """Who does orders."""

    def slots(self, ask: Ask) -> int:
        """How many tasks that ask for this fit on the nodes that are there, were nothing else on them."""

    def nodes(self) -> str:
        """What the nodes have, for a person."""

    def start(self, order: Order, ask: Ask) -> Handle:
        """Begins an order as soon as there is room."""

    def ended(self, handles: Sequence[Handle], seconds: float) -> dict[Handle, Ended]:
        """Those that ended; waits for the first, so many seconds at most."""

    def cancel(self, handles: Iterable[Handle], *, force: bool) -> None:
        """Lets orders stop in good order, or ends them at once; one that waits for room is not begun."""


def installed() -> bool:
    """Whether Ray can be imported."""
    return find_spec("ray") is not None


class RayCluster:
    """A Ray cluster that this machine is a node of, or one that is reached from it.

    A context manager: it is connected while the block runs, and whatever it still does then is ended.

    Args:
        address: `auto` for the one whose node this machine is (or that RAY_ADDRESS names), or HOST:PORT of its head.

    Raises:
        UsageError: Ray is not installed, or there is no such cluster.
    """

    def __init__(self, address: str = AUTO) -> None:
        self.address = address
        self._ray: Any = None
        self._do: Any = None

    def __enter__(self) -> RayCluster:
        if not installed():
            raise UsageError("Ray is not installed", where="--executor ray", remedy=INSTALL)
        _require_listening(os.environ.get("RAY_ADDRESS", AUTO) if self.address == AUTO else self.address)
        import ray

        with _own_signals():
            try:
                ray.init(address=self.address, log_to_driver=False, configure_logging=False)
            except (ConnectionError, RuntimeError, ValueError, OSError, AssertionError) as error:
                said = str(error).strip().splitlines() or [type(error).__name__]
                raise UsageError(
                    f"no Ray cluster answers: {said[0]}", where=f"--address {self.address}", remedy=START
                ) from None
        self._ray, self._do = ray, ray.remote(max_calls=1, max_retries=0)(do_order)  # a process for each order
        return self

    def __exit__(self, *error: object) -> None:
        self._ray.shutdown()

    def slots(self, ask: Ask) -> int:
        """See `Cluster.slots`."""
        return sum(
            min(int(has.get(name, 0) // amount) for name, amount in ask.amounts().items()) for has in self._alive()
        )

    def nodes(self) -> str:
        """See `Cluster.nodes`."""
        described = (
            f"{has.get('CPU', 0):g} CPU, {has.get('GPU', 0):g} GPU, {size_in_words(has.get('memory', 0))}"
            for has in self._alive()
        )
        return "; ".join(sorted(described)) or "none is there"

    def _alive(self) -> list[dict[str, float]]:
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]

    def start(self, order: Order, ask: Ask) -> Handle:
        """See `Cluster.start`."""
        options: dict[str, Any] = {"memory": ask.memory} if ask.memory else {}
        name = f"{order.stage} {next(iter(order.pieces))}"
        return self._do.options(num_cpus=ask.cpus, num_gpus=ask.gpus, name=name, **options).remote(order)

    def ended(self, handles: Sequence[Handle], seconds: float) -> dict[Handle, Ended]:
        """See `Cluster.ended`."""
        if not handles:
            return {}
        ready, _ = self._ray.wait(list(handles), num_returns=len(handles), timeout=0)
        if not ready:
            ready, _ = self._ray.wait(list(handles), num_returns=1, timeout=seconds)
        return {handle: self._outcome(handle) for handle in ready}

    def _outcome(self, handle: Handle) -> Ended:
        from ray.exceptions import RayError, RayTaskError, TaskCancelledError

        try:
            ended: Ended = self._ray.get(handle)
        except TaskCancelledError:
            return Ended("stopped", "cancelled")
        except RayTaskError as error:  # before the order was begun: augrec is not there, say
            return Ended("refused", f"a node cannot do it: {error.cause!r}; {INSTALL}")
        except RayError as error:
            said, _, _ = str(error).strip().partition(". ")  # after its first sentence Ray says where to look for more
            return Ended("lost", one_line(f"{type(error).__name__}: {said}", MOST_LETTERS))
        return ended

    def cancel(self, handles: Iterable[Handle], *, force: bool) -> None:
        """See `Cluster.cancel`."""
        for handle in handles:
            self._ray.cancel(handle, force=force)


def _require_listening(address: str) -> None:
    """Raises where nobody listens at HOST:PORT: Ray would try again for minutes. Ray itself looks for `auto`."""
    if address == AUTO:
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise UsageError(f"{address!r} is no HOST:PORT", where="--address", remedy="HOST:PORT of the head, or `auto`")
    try:
        socket.create_connection((host, int(port)), SECONDS_TO_CONNECT).close()
    except (OSError, OverflowError) as error:
        raise UsageError(f"no Ray cluster answers: {error}", where=f"--address {address}", remedy=START) from None


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keeps this process's handlers of signals: Ray would replace that of SIGTERM."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
