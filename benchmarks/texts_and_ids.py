"""Do texts belong to their ids? The alignment probe of an import, redone by a method that shares nothing with it.

    python -m benchmarks.texts_and_ids IMPORTED [--json FILE]

IMPORTED is what `augrec import` wrote. The probe counts how often pairs of near texts meet in histories, against
permutations. Here nothing is near and nothing is permuted: every history is put into a random order, the cosine of each
two neighbours is taken, and set against the cosine of two others, each as popular as the one it replaces. Equally
popular are those of the same number of training interactions, pooled with the next numbers to `CLASS` or more. The
error is that of the mean over histories. Judged is whether the two methods contradict each other.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.probes.text_alignment import text_vectors
from augrec.report.measures.alignment import alignment
from augrec.report.measures.directions import present, unit_rows
from benchmarks.result import Result, add_json_option, report, run
from recsys.data.dataset import Dataset

CLASS = 10
DRAWS = 20
CLEAR = 3.0  # standard errors


def cosine_in_histories(vectors: sp.csr_array, pairs: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """The cosine of neighbours in a history over that of equally popular ones, and standard errors of the difference.

    Args:
        vectors: [n, d], a row of zeros where there is no text.
        pairs: int64 [m, 2] of (history, entity).
        rng: of the order and of the replacements.
    """
    popularity = np.bincount(pairs[:, 1], minlength=vectors.shape[0])
    there = present(vectors) & (popularity > 0)
    pairs = pairs[there[pairs[:, 1]]]
    pairs = pairs[np.lexsort((rng.random(len(pairs)), pairs[:, 0]))]
    same = pairs[:-1, 0] == pairs[1:, 0]
    history, first, second = pairs[:-1, 0][same], pairs[:-1, 1][same], pairs[1:, 1][same]
    unit, ordered = unit_rows(vectors), np.flatnonzero(there)[np.argsort(popularity[there], kind="stable")]
    start, stop = _classes(popularity[ordered])
    place = np.zeros(vectors.shape[0], dtype=np.int64)
    place[ordered] = np.arange(len(ordered))

    def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(unit[a].multiply(unit[b]).sum(axis=1)).ravel()

    def replaced(entities: np.ndarray) -> np.ndarray:
        low, high = start[place[entities]], stop[place[entities]]
        return ordered[low + (rng.random(len(entities)) * (high - low)).astype(np.int64)]

    others, drawn = np.zeros(len(first)), np.zeros(len(first))
    for _ in range(DRAWS):
        a, b = replaced(first), replaced(second)
        others += np.where(a != b, cosine(a, b), 0.0)
        drawn += a != b
    kept = drawn > 0
    own, other = cosine(first, second)[kept], others[kept] / drawn[kept]
    _, of = np.unique(history[kept], return_inverse=True)
    beyond = np.bincount(of, own - other) / np.bincount(of)
    return float(own.mean() / other.mean()), float(beyond.mean() / beyond.std() * np.sqrt(len(beyond)))


def _classes(popularity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the class of each place begins and ends, for popularity in rising order."""
    ends = [0, *(np.flatnonzero(np.diff(popularity)) + 1).tolist(), len(popularity)]
    cuts = [0]
    for end in ends[1:]:
        if end - cuts[-1] >= CLASS:
            cuts.append(end)
    cuts[-1:] = [len(popularity)] if len(cuts) > 1 else [0, len(popularity)]
    sizes = np.diff(cuts)
    return np.repeat(cuts[:-1], sizes), np.repeat(cuts[1:], sizes)


def measure(folder: Path) -> list[Result]:
    """Both methods on every text of an import."""
    files, dataset = RunFolder(folder), Dataset.load(RunFolder(folder).dataset)
    tasks = {source.name: [task.name for task in source.tasks()] for source in files.sources()}
    results = []
    for of, about, vectors in text_vectors(files, tasks, dataset.n_users, dataset.n_items):
        found = alignment(of, about, vectors, dataset.train)
        pairs = dataset.train if about == "item" else dataset.train[:, ::-1]
        times, errors = cosine_in_histories(vectors, pairs, np.random.default_rng(0))
        results.append(Result.unjudged(f"{of}: near texts meet", found.texts.ratio, "x", found.verdict))
        results.append(Result.unjudged(f"{of}: cosine in histories", times, "x", "another method"))
        name = f"{of}: cosine in histories above that of equally popular ones"
        if found.verdict == "aligned":
            results.append(Result.at_least(name, errors, CLEAR, "standard errors"))
        elif found.verdict == "apart":
            results.append(Result.at_most(name, errors, CLEAR, "standard errors"))
        else:
            results.append(Result.unjudged(name, errors, "standard errors", "the probe is undecided"))
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="what `augrec import` wrote")
    add_json_option(parser)
    options = parser.parse_args(arguments)
    return report("Texts and ids", measure(options.folder), options.json)


if __name__ == "__main__":
    run(main)
