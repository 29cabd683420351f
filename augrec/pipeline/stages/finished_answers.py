"""The answers of a source that are there, for prompts that quote them."""

from __future__ import annotations

from augment.store.answers import QuotedAnswer
from augrec.artefacts.records import read_records
from augrec.artefacts.tasks import read_card
from augrec.pipeline.stages.base import Run


def answers_of(run: Run, source: str, sizes: dict[str, int]) -> dict[str, dict[int, tuple[QuotedAnswer, ...]]]:
    """The merged answers of a source by task and entity, for prompts that quote them.

    Args:
        run: the run.
        source: its name.
        sizes: how many users and items there are, by "user" and "item".
    """
    found: dict[str, dict[int, tuple[QuotedAnswer, ...]]] = {}
    for task in run.files.source(source).tasks():
        card = read_card(task.card)
        records = read_records(task.records, entities=sizes[card.about], columns=()).answered()
        of_task = found.setdefault(task.name, {})
        for record in records:
            answer = QuotedAnswer(record.question, record.fields or {})
            of_task[record.entity] = (*of_task.get(record.entity, ()), answer)
    return found
