"""What does our generation loop cost beside vLLM's own call, other orders, other feeding, and other runners?

    python -m benchmarks.augmentation [--json FILE] [--users N] [--batch N] [--rounds N] [--history N] [--only PART]
        [--ways NAME ...]

The demo's requests (edges and profiles of MovieLens-100K's users, SmolLM2) are answered several ways: by a running
engine fed in different ways; in our order and task by task under a small key-value cache, with whole histories; and by
whole commands, engine start included. Ways take turns, and a ratio is the median over rounds; every answer must fit its
schema. On a CPU all compute on one thread; the same command uses a GPU where vLLM does.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import augmentation_around as around
from benchmarks import augmentation_commands as whole
from benchmarks import augmentation_inside as inside
from benchmarks.augmentation_sharing import Shared, sharing
from benchmarks.augmentation_turns import Turns, median, ratio
from benchmarks.augmentation_work import prepared
from benchmarks.result import Result, add_json_option, report, run

BATCH, USERS = 2, 32  # two whole blocks of an exact engine, so that it drains as often as in a long run
SMALL_CACHE_GIB = 0.25  # a dozen prompts of whole histories
WHOLE_HISTORY = 120  # items; what an order saves grows with what a user's prompts share
AROUND, EXACT, CHUNKS, WHOLE, MEMORY, VALID, GROWTH = 1.05, 1.02, 1.3, 1.0, 1.1, 1.0, 1.3
ORDER = 1.5
MORE_SECONDS = 2.0
PARTS = ("feeding", "sharing", "ordering", "commands", "around")
WAYS = (inside.BARE, inside.WINDOW, inside.EXACT, inside.CHUNKED, whole.RUN_BATCH, whole.DATATROVE)


def feeding_results(fed: inside.Fed) -> list[Result]:
    """Our loop against one call, and chunks against our loop, as far as they were measured."""
    judged = (
        (inside.WINDOW, inside.BARE, partial(Result.at_most, limit=AROUND)),
        (inside.EXACT, inside.BARE, partial(Result.at_most, limit=EXACT)),
        (inside.CHUNKED, inside.WINDOW, partial(Result.at_least, limit=CHUNKS)),
    )
    pairs = [(over, under, judge) for over, under, judge in judged if {over, under} <= fed.turns.keys()]
    return [
        *(judge(f"{over} / {under}", ratio(fed.turns, over, under), unit="x") for over, under, judge in pairs),
        *_cpu(fed.turns, [(over, under) for over, under, _ in pairs]),
        *(
            Result.unjudged(f"{over} / {under}, steps", fed.steps[over] / fed.steps[under], "x", "for information")
            for over, under, _ in pairs
        ),
        *(
            Result.unjudged(f"{name}: CPU time outside the engine's steps", seconds, "s", "for information")
            for name, seconds in fed.outside.items()
        ),
        *_validity(fed.valid),
        *(
            Result.unjudged(f"{name}: same text as {inside.BARE}", share, "of answers", "for information")
            for name, share in fed.alike.items()
            if name != inside.BARE
        ),
        *_seconds(fed.turns, fed.requests),
    ]


def ordering_results(scored: inside.Fed, told: inside.Fed) -> list[Result]:
    """The other order against ours: judged where an answer is a token, told where answers are written at length."""
    pair = (inside.OTHER, inside.OURS)
    name = f"{inside.OTHER} / {inside.OURS}"
    return [
        Result.at_least(f"scored edges: {name}", ratio(scored.turns, *pair), ORDER, "x"),
        *_tokens("scored edges", scored),
        *_cpu(scored.turns, [pair]),
        *_validity(scored.valid),
        *_seconds(scored.turns, scored.requests),
        Result.unjudged(f"edges and profiles: {name}", ratio(told.turns, *pair), "x", "for information"),
        *_tokens("edges and profiles", told),
        *_validity(told.valid),
    ]


def sharing_results(what: str, shared: Shared) -> list[Result]:
    """What our order saves by count, and what it would if a common beginning were shared to its last token."""
    ratios = {"": shared.other / shared.ours, ", blocks of a token": shared.other_by_token / shared.ours_by_token}
    return [
        Result.unjudged(
            f"{what}: prompt tokens by count{blocks}, {inside.OTHER} / {inside.OURS}", value, "x", "counted"
        )
        for blocks, value in ratios.items()
    ]


def _tokens(what: str, fed: inside.Fed) -> list[Result]:
    """Prompt tokens that had to be computed, the other order against ours."""
    computed = {name: 1 - share for name, share in fed.cached.items()}
    times = computed[inside.OTHER] / computed[inside.OURS]
    return [Result.unjudged(f"{what}: prompt tokens computed, the same", times, "x", "for information")]


def whole_results(found: whole.Compared) -> list[Result]:
    """Other runners against ours, engine start included; and memory beside a bare call."""
    results = [
        Result.at_least(f"{name} / {whole.OURS}, whole command", ratio(found.turns, name, whole.OURS), WHOLE, "x")
        if name != whole.BARE
        else Result.unjudged(
            f"{name} / {whole.OURS}, whole command", ratio(found.turns, name, whole.OURS), "x", "for information"
        )
        for name in found.turns
        if name != whole.OURS
    ]
    return [
        *results,
        *(Result.unjudged(name, None, "", f"not measured: {why}") for name, why in found.absent.items()),
        *(_beside_bare(found) if whole.BARE in found.turns else ()),
        Result.unjudged(f"peak memory of {whole.OURS}", found.peaks[whole.OURS] / 1e9, "GB", "for information"),
        *_cpu(found.turns, [(name, whole.OURS) for name in found.turns if name != whole.OURS]),
        *_validity(found.valid),
        *_seconds(found.turns, found.requests),
    ]


def _beside_bare(found: whole.Compared) -> list[Result]:
    """What our command adds to a script with one call, which has neither prompts to make nor records to keep."""
    pairs = zip(found.turns[whole.OURS], found.turns[whole.BARE], strict=True)
    more = statistics.median(ours.cpu - bare.cpu for ours, bare in pairs)
    memory = found.peaks[whole.OURS] / found.peaks[whole.BARE]
    return [
        Result.at_most(f"{whole.OURS} - {whole.BARE}, whole command, CPU time", more, MORE_SECONDS, "s"),
        Result.at_most(f"peak memory, {whole.OURS} / {whole.BARE}", memory, MEMORY, "x"),
    ]


def around_results(found: dict[int, around.Cost]) -> list[Result]:
    """What a request costs outside the engine, for few and for many users."""
    (few, least), (many, most) = sorted(found.items())
    return [
        Result.at_most(
            f"around the engine: seconds per request, {many} users / {few}",
            most.seconds / least.seconds,
            GROWTH,
            "x",
        ),
        *(
            Result.unjudged(
                f"around the engine, {users} users", 1e3 * cost.seconds, "CPU-ms/request", "for information"
            )
            for users, cost in found.items()
        ),
    ]


def _cpu(turns: Turns, pairs: Sequence[tuple[str, str]]) -> list[Result]:
    return [
        Result.unjudged(f"{over} / {under}, CPU time", ratio(turns, over, under, "cpu"), "x", "for information")
        for over, under in pairs
    ]


def _validity(valid: dict[str, float]) -> list[Result]:
    return [Result.at_least(f"{name}: valid answers", share, VALID, "of answers") for name, share in valid.items()]


def _seconds(turns: Turns, requests: int) -> list[Result]:
    return [
        Result.unjudged(f"{name}, {requests} requests", median(turns, name), "s", "for information") for name in turns
    ]


def apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """A call in a new process, which gives all its memory back."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def measure(
    parts: Sequence[str],
    users: int,
    batch: int,
    rounds: int,
    folder: Path,
    history: int = WHOLE_HISTORY,
    ways: Sequence[str] = (),
) -> list[Result]:
    """The parts asked for."""
    results: list[Result] = []
    if set(parts) - {"around"}:
        work = prepared(folder / "data", users, batch)
    if "feeding" in parts:
        results += feeding_results(apart(inside.feeding, work, rounds, ways))
    if "sharing" in parts:
        for what, scored in (("scored edges", True), ("edges and profiles", False)):
            asked = replace(work, history=history, scored=scored)
            results += sharing_results(what, sharing(asked, SMALL_CACHE_GIB, folder / "sharing.log"))
    if "ordering" in parts:
        small = work.engine.model_copy(update={"kv_cache_gib": SMALL_CACHE_GIB})
        long = replace(work, history=history)
        scored = apart(inside.ordering, replace(long, scored=True), rounds, small)
        results += ordering_results(scored, apart(inside.ordering, long, rounds, small))
    if "commands" in parts:
        results += whole_results(whole.commands(work, max(1, rounds - 1), folder / "commands", ways))
    if "around" in parts:
        everybody = prepared(folder / "all", 1, batch, sample=943)
        results += around_results({users: apart(around.cost, everybody, users) for users in (100, 800)})
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.augmentation", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--users", type=int, default=USERS, metavar="N", help="each is asked two things")
    parser.add_argument("--batch", type=int, default=BATCH, metavar="N", help="requests at once; hundreds on a GPU")
    parser.add_argument(
        "--rounds", type=int, default=2, metavar="N", help="turns of each way, of whole commands one fewer"
    )
    parser.add_argument(
        "--history",
        type=int,
        default=WHOLE_HISTORY,
        metavar="N",
        help="most items in a prompt where orders are compared",
    )
    parser.add_argument("--only", choices=PARTS, help="one part")
    parser.add_argument(
        "--ways", nargs="+", choices=WAYS, default=(), metavar="NAME", help=f"only some of {', '.join(WAYS)}"
    )
    add_json_option(parser)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        results = measure(
            [given.only] if given.only else PARTS,
            given.users,
            given.batch,
            given.rounds,
            Path(folder),
            given.history,
            given.ways,
        )
    return report("Generation", results, given.json)


if __name__ == "__main__":
    run(main)
