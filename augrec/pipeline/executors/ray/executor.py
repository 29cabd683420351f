"""Pieces done by the nodes of a Ray cluster, each as a task; those whose worker or node died are asked for again."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

from augrec.artefacts.progress import say
from augrec.pipeline.executors.pieces import Executor
from augrec.pipeline.executors.profile import JobResources, Profile, asked, in_bytes
from augrec.pipeline.executors.ray.cluster import Ask, Cluster, Handle
from augrec.pipeline.executors.ray.task import Ended, Order
from augrec.pipeline.executors.watch import Ended as TellEnded
from augrec.pipeline.executors.watch import note_failure, note_stop, watched

if TYPE_CHECKING:
    from augrec.pipeline.stages.base import Piece, Run, Stage

PLAIN = JobResources(cpus=1)
"""What a task asks for where the profile says nothing."""
SECONDS = 1.0
"""How often it is looked whether this process was asked to stop."""
SECONDS_BETWEEN_LOOKS = 10.0
"""How often it is looked whether there are still nodes on which what waits can run."""
SECONDS_TO_APPEAR = 60.0
"""How long a result may take from another node to this one: a network file system shows it late."""


def ask_of(run: Run, stage: Stage, group: str, profile: Profile) -> Ask:
    """What a task for a group's pieces asks of a node."""
    wanted = asked(run, stage, group, profile, PLAIN)
    return Ask(wanted.cpus or 1, wanted.gpus or 0, in_bytes(wanted.memory) if wanted.memory else None)


@dataclass(frozen=True)
class Share:
    """Pieces of a group that one task does in turn."""

    pieces: tuple[Piece, ...]
    ask: Ask
    lost: int = 0
    """How often its worker died without having finished any of them."""

    @property
    def name(self) -> str:
        """For messages."""
        more = len(self.pieces) - 1
        return self.pieces[0].name + (f" and {more} more" if more else "")


@dataclass
class OnRay(Executor):
    """Does the pieces of a stage on a Ray cluster; what has no pieces runs in this process."""

    cluster: Cluster
    profile: Profile
    """What tasks ask for: `cpus`, `gpus`, `memory`, `throttle`, and the keys that say how many pieces one does."""
    here: ClassVar[bool] = False

    def takes(self, run: Run, stage: Stage) -> bool:
        """See `Executor.takes`."""
        return stage.has_pieces

    def do_wave(self, run: Run, stage: Stage, waiting: list[Piece], everything: int) -> None:
        """See `Executor.do_wave`."""
        if not waiting:
            return
        shares = self._shares(run, stage, waiting)
        most = self.profile.resources(stage.name).throttle or len(waiting)
        with watched(run, stage, waiting, everything, self.failures, bar=True) as tell:
            wave = _Wave(run, stage, self.cluster, deque(shares), most, self.profile.attempts, tell)
            try:
                with run.stop.polled():
                    wave.work_off()
                run.stop.check()
            except BaseException as error:
                self.cluster.cancel(wave.running, force=True)
                note_stop(waiting, str(getattr(error, "what", error)))
                raise

    def _shares(self, run: Run, stage: Stage, waiting: list[Piece]) -> list[Share]:
        """A piece each; where a worker takes long to start, as many pieces as leave every place one task."""
        shares = []
        for group, mine in groupby(waiting, lambda piece: piece.group):
            pieces, ask = tuple(mine), ask_of(run, stage, group, self.profile)
            size = 1
            if stage.resources.costly_start:
                size = max(self.profile.per_task(stage), -(-len(pieces) // max(1, self.cluster.slots(ask))))
            shares += [Share(pieces[first : first + size], ask) for first in range(0, len(pieces), size)]
        return shares


@dataclass
class _Wave:
    """Shares that wait, are under way, or ended with results that are not seen here yet."""

    run: Run
    stage: Stage
    cluster: Cluster
    waiting: deque[Share]
    most: int
    """Tasks that run at once."""
    attempts: int
    """How often a share's worker may die."""
    tell: TellEnded
    running: dict[Handle, Share] = field(default_factory=dict)
    unseen: list[tuple[Share, float]] = field(default_factory=list)
    """Shares that are said to be done, each with the time until which its results may take to be seen."""
    stopping: bool = False
    looked: float = field(default_factory=time.monotonic)

    def work_off(self) -> None:
        """Until nothing waits and nothing is under way; once this process is asked to stop, nothing more is begun."""
        while self.waiting or self.running or self.unseen:
            if self.run.stop.requested and not self.stopping:
                self.stopping = True
                self.waiting.clear()
                self.cluster.cancel(self.running, force=False)
            while self.waiting and len(self.running) < self.most:
                self._start(self.waiting.popleft())
            for handle, ended in self.cluster.ended(list(self.running), SECONDS).items():
                self._take(self.running.pop(handle), ended)
            if not self.running and self.unseen:
                time.sleep(SECONDS)
            unseen, self.unseen = self.unseen, []
            for share, until in unseen:
                self._see(share, until)
            self._look_for_nodes()

    def _start(self, share: Share) -> None:
        beside = 2 if share.ask.cpus == 1 else 1  # with one core, one thread, unless the config says more
        order = Order.of(self.run, self.stage, share.pieces, beside=beside, gpus=share.ask.gpus)
        self.running[self.cluster.start(order, share.ask)] = share

    def _take(self, share: Share, ended: Ended) -> None:
        if ended.outcome == "done":
            self._see(share, time.monotonic() + SECONDS_TO_APPEAR)
            return
        left = self._done_of(share)
        if not left:
            return
        if ended.outcome == "refused":
            self.tell(share.name, left, ended.reason)
        elif ended.outcome == "failed":
            self._give_up(share, left, ended.reason)
        elif not self.stopping:
            self._again(share, left, ended)

    def _done_of(self, share: Share) -> tuple[Piece, ...]:
        """Tells of the pieces that are done; the others."""
        done = [piece.done() for piece in share.pieces]
        for piece, finished in zip(share.pieces, done, strict=True):
            if finished:
                self.tell(piece.name, [piece], None)
        return tuple(piece for piece, finished in zip(share.pieces, done, strict=True) if not finished)

    def _see(self, share: Share, until: float) -> None:
        left = self._done_of(share)
        if left and time.monotonic() < until:
            self.unseen.append((replace(share, pieces=left), until))
        elif left:
            what = "a node says that it is done, and its result is not in the run folder here: do all nodes share it?"
            self.tell(share.name, left, what)

    def _again(self, share: Share, left: tuple[Piece, ...], ended: Ended) -> None:
        """A worker that died with what it was given; it may have been the machine's fault, or the piece's."""
        lost = 0 if len(left) < len(share.pieces) else share.lost + 1
        if lost >= self.attempts:
            self._give_up(share, left, f"its worker died {lost} times; the last: {ended.reason}")
            return
        note_failure(left, ended.reason)
        say(f"{self.stage.name} {left[0].name}: its worker ended ({ended.reason}); it is asked for again")
        self.waiting.append(replace(share, pieces=left, lost=lost))

    def _give_up(self, share: Share, left: tuple[Piece, ...], problem: str) -> None:
        """The first piece failed; those after it were not begun."""
        self.tell(left[0].name, left[:1], problem)
        if left[1:] and not self.stopping:
            self.waiting.append(replace(share, pieces=left[1:], lost=0))

    def _look_for_nodes(self) -> None:
        """What fits on no node that is left would wait for ever."""
        if time.monotonic() - self.looked < SECONDS_BETWEEN_LOOKS:
            return
        self.looked = time.monotonic()
        fits = {ask: self.cluster.slots(ask) > 0 for ask in {share.ask for share in self.running.values()}}
        for handle, share in list(self.running.items()):
            if not fits[share.ask]:
                del self.running[handle]
                self.cluster.cancel([handle], force=True)
                what = f"no node of the cluster that is left has {share.ask}; there are: {self.cluster.nodes()}"
                self.tell(share.name, share.pieces, what)
