"""What a variant is given of its source, as far as a config says it before anything ran, and what nobody makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from augment.tasks import TASKS, card_of
from augrec.artefacts.errors import AugrecError
from augrec.artefacts.names import did_you_mean
from augrec.artefacts.tasks import TaskCard, Text
from augrec.artefacts.treatments import AS_IS, NONE, allowed, changes, treatment

if TYPE_CHECKING:
    from augment.options import SourceOptions

OLD_KEYS = {"edges": "edges", "profiles": "user_profile", "attributes": "item_attributes"}
"""Keys that a variant and an arm had until tasks said what they give, and the tasks that they were about."""


def refuse_old_keys(raw: Any) -> Any:
    """A variant or an arm as it was written. Raises ValueError for the old spelling of `change`, with the new one."""
    old = {key: raw[key] for key in OLD_KEYS if key in raw} if isinstance(raw, dict) else {}
    if old:
        change = {**(raw.get("change") or {}), **{OLD_KEYS[key]: how for key, how in old.items() if how != AS_IS}}
        new = f"change: {{{', '.join(f'{task}: {how}' for task, how in change.items())}}}"
        said = ", ".join(f"{key}: {how}" for key, how in old.items())
        raise ValueError(f"`{said}` is written by task now: " + (new if change else "leave it out"))
    return raw


def cards_of(source: SourceOptions) -> dict[str, TaskCard | None]:
    """The tasks of a source; None for one whose records are not there yet, so that nothing says what it gives."""
    return {task: _card(source, task) for task in source.tasks}


def writes_text(source: SourceOptions) -> bool:
    """Whether answers of a source have to be embedded: it brings no vectors, and a task gives text or attributes."""
    cards = cards_of(source).values()
    return not source.brings_vectors and any(card is None or card.gives.embedded for card in cards)


def _card(source: SourceOptions, task: str) -> TaskCard | None:
    from augment.replay.options import ReplayOptions

    if isinstance(source.engine, ReplayOptions):
        from augment.replay.replay import replayed_task

        try:
            return card_of(replayed_task(source.engine, task))
        except AugrecError:  # imported before the run; the stage says what is wrong with it
            pass
    return card_of(TASKS[task]) if task in TASKS else None


def given_texts(variant: Mapping[str, Any], source: SourceOptions | None, about: str) -> list[str]:
    """The tasks whose texts about users (or items) a variant is given, as they are or as a control.

    Args:
        variant: its entry in the config, as plain values.
        source: its source.
        about: user or item.
    """
    cards = cards_of(source) if source else {}
    return [
        task
        for task, card in cards.items()
        if treatment(variant, task) != NONE and (card is None or (isinstance(card.gives, Text) and card.about == about))
    ]


def problems(variant: Mapping[str, Any], source: SourceOptions | None) -> Iterator[str]:
    """What is wrong with a variant's `change`, as `change.task: why, and what to do`.

    Args:
        variant: its entry in the config, as plain values.
        source: its source.
    """
    change = variant.get("change") or {}
    if source is None:
        made = "is made from the answers of a source; name one in `source`, or leave this out"
        yield from (f"change.{task}: {how} {made}" for task, how in change.items() if how != NONE)
        return
    cards = cards_of(source)
    for task, how in changes(variant).items():
        name = f"change.{task}"
        if task not in cards and task not in TASKS:
            yield f"{name}: no task is called so; the source has {', '.join(cards)}{did_you_mean(task, cards)}"
        elif task not in cards and how != NONE:
            yield (
                f"{name}: {how}, and nobody makes any: the source '{variant['source']}' has the tasks "
                f"{', '.join(cards)}, not {task}; add it to generation.sources.{variant['source']}.tasks"
            )
        elif (card := cards.get(task)) is not None and how not in allowed(card.gives.kind):
            kind, known = card.gives.kind, ", ".join(allowed(card.gives.kind))
            yield f"{name}: {task} gives {kind}, which cannot be {how}; one of {known}"
