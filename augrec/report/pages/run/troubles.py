"""What went wrong with answers and what was mended, by reason, with examples drawn by seed."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

import numpy as np

from augrec.artefacts.records import StoredRecord
from augrec.report.pages.run.generated import Records
from augrec.report.render.wording import counted
from augrec.report.user_names import UserNames

EXAMPLES = 3
TEXT_SHOWN = 300
KIND_SHOWN = 80
COMMONEST = 10


@dataclass(frozen=True)
class Case:
    """One record: the reason or the repair in full, and the beginning of what the LLM wrote, untrusted."""

    entity: int | str
    """Its contiguous id, or a user's pseudonym."""
    told: str
    text: str
    cut: bool


@dataclass(frozen=True)
class Trouble:
    """One kind of failure or repair of one source and task: in how many records, and their share of the requests."""

    source: str
    task: str
    kind: str
    count: int
    share: float
    cases: tuple[Case, ...]


def failures(records: Records, rng: np.random.Generator) -> list[Trouble]:
    """By reason, the commonest of each source and task first."""
    return _group(records, lambda record: [] if record.fields is not None else [record.reason or NO_REASON], code, rng)


def repairs(records: Records, rng: np.random.Generator) -> list[Trouble]:
    """The commonest kinds of repair of each source and task, of answers that were kept."""
    found = _group(records, lambda record: list(record.repairs) if record.fields is not None else [], kind_of, rng)
    shown: list[Trouble] = []
    for key in dict.fromkeys((trouble.source, trouble.task) for trouble in found):
        shown += [trouble for trouble in found if (trouble.source, trouble.task) == key][:COMMONEST]
    return shown


def without_users(
    troubles: Iterable[Trouble], about_users: Collection[tuple[str, str]], names: UserNames
) -> list[Trouble]:
    """The same with pseudonyms for users, and without what a reason says after its code: it may name them.

    Args:
        troubles: failures.
        about_users: (source, task) of those that are about users.
        names: what users are called.
    """
    return [
        replace(trouble, cases=tuple(_hidden(case, names) for case in trouble.cases))
        if (trouble.source, trouble.task) in about_users
        else trouble
        for trouble in troubles
    ]


def _hidden(case: Case, names: UserNames) -> Case:
    return replace(case, entity=names.of(int(case.entity)), told=names.reason(case.told))


NO_REASON = "no reason given"


def without_failures(records: Records) -> list[tuple[str, str]]:
    """(source, how many answers) of the sources none of whose requests failed."""
    told = []
    for source in dict.fromkeys(source for source, _ in records):
        mine = [record for (s, _), found in records.items() if s == source for record in found.values()]
        if all(record.fields is not None for record in mine):
            told.append((source, counted(len(mine), "request")))
    return told


def code(reason: str) -> str:
    """The part of a reason that others share: "malformed" of "malformed: age: Input should be ..."."""
    return reason.partition(":")[0][:KIND_SHOWN]


def kind_of(repair: str) -> str:
    """The part of a repair that others share: without the text it quotes and without numbers."""
    plain = re.sub(r"'.*'|\".*\"", "", repair, flags=re.DOTALL)
    return " ".join(re.sub(r"\d+", "", plain).replace("_", " ").split())[:KIND_SHOWN]


def _group(
    records: Records, reasons: Callable[[StoredRecord], list[str]], kind: Callable[[str], str], rng: np.random.Generator
) -> list[Trouble]:
    found = []
    for (source, task), rows in records.items():
        kinds: dict[str, dict[int, str]] = {}
        for row, record in sorted(rows.items()):
            for reason in reasons(record):
                kinds.setdefault(kind(reason), {}).setdefault(row, reason)
        for name, told in sorted(kinds.items(), key=lambda pair: (-len(pair[1]), pair[0])):
            chosen = sorted(rng.choice(list(told), min(EXAMPLES, len(told)), replace=False).tolist())
            cases = tuple(_case(rows[row], told[row]) for row in chosen)
            found.append(Trouble(source, task, name, len(told), len(told) / len(rows), cases))
    return found


def _case(record: StoredRecord, told: str) -> Case:
    return Case(record.entity, told[:TEXT_SHOWN], record.text[:TEXT_SHOWN], len(record.text) > TEXT_SHOWN)
