"""The prompts that language models of a run were asked, for its page: one of each source and task, rendered again.

A prompt is no part of a record. It follows from the data, the templates and the options, which are those of the run
while its stages are current; that the prompt shows what the record says it showed is checked of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from augrec.artefacts.records import Records, StoredRecord, read_records
from augrec.pipeline.stages.augment import catalog_of
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.finished_answers import answers_of
from augrec.report.pages.run.prompts import AskedPrompt, labels_in_short, schema_in_short

if TYPE_CHECKING:
    from augment.catalog import Catalog
    from augment.messages import Draft
    from augment.preview.questions import Preview
    from augment.tasks import Task

TRIED = 50
"""Records looked at for one that can be shown: a prompt that was shortened to the engine's context cannot."""
READ = ("text", "shown_history", "shown_candidates", "shown_reviews", "dropped_history")


def asked_prompts(run: Run) -> list[AskedPrompt]:
    """One prompt of every task that a language model was asked while augmenting, drawn with the report's seed.

    Sources that replay records asked nobody here, and rules read no prompt. None where the report shows no examples.
    """
    from augment.preview.questions import Preview, Reader, asked_users
    from augment.prompts.presentation import Presentation

    config, generation = run.config, run.config.generation
    asked = {name: source for name, source in (generation.asked if generation else {}).items() if source.tasks}
    writing = {
        name: source for name, source in asked.items() if source.engine.writes_text and not source.engine.replays
    }
    if generation is None or not writing or not config.report.examples:
        return []
    catalog, found = catalog_of(run), list[AskedPrompt]()
    for name, source in writing.items():
        presented = catalog.presented(Presentation(generation.item_text, source.titles, config.seed))
        users = asked_users(presented, source, config.seed)
        sizes = {"user": presented.n_users, "item": presented.n_items}
        answers = answers_of(run, name, sizes) if len(generation.waves(source)) > 1 else {}
        preview = Preview(presented, users, source, generation, config.seed, Reader(None, None), answers)
        for task in preview.tasks:
            folder = run.files.source(name).task(task.name)
            if folder.records.exists():
                records = read_records(folder.records, entities=sizes[task.about], columns=READ)
                found += _prompts(name, preview, task, records, presented, config.report.seed)
    return found


def _prompts(
    source: str, preview: Preview, task: Task, records: Records, catalog: Catalog, seed: int
) -> Iterator[AskedPrompt]:
    """One prompt of a task; none where none of those that are looked at can be rendered as it was."""
    drawn = np.random.default_rng(seed).permutation(len(records))
    answered_first = drawn[np.argsort(~records.ok[drawn], kind="stable")]
    for row in answered_first[:TRIED].tolist():
        record = records[row]
        draft = next((one for one in preview.drafts(task, record.entity) if _same(one, record)), None)
        if draft is not None:
            yield AskedPrompt(
                source=source,
                task=task.name,
                about=task.about,
                whom=catalog.ids.of("user", record.entity)
                if task.about == "user"
                else catalog.item(record.entity).title,
                messages=tuple((message.role, message.content) for message in draft.messages),
                schema=labels_in_short(draft.labels) if draft.labels else schema_in_short(draft.answer.schema),
                answer=record.text or None,
                of_user=task.about == "user" or bool(draft.shown_reviews),
            )
            return


def _same(draft: Draft, record: StoredRecord) -> bool:
    """Whether a prompt is the one that a record answers: the same question, which shows the same."""
    shown = draft.question, draft.shown_history, draft.shown_candidates, draft.shown_reviews, draft.dropped_history
    asked = record.question, record.shown_history, record.shown_candidates, record.shown_reviews, record.dropped_history
    return shown == asked
