"""Makes instructions out of held-out training interactions (Llama4Rec, section on instruction tuning).

A user and a fold of `base/held_out.parquet` give a prompt of a task: its history is the user's training history without
what the fold held out, it asks about held-out items among drawn ones, and the hint it may show is the score of the
model that was trained without the fold. The answer is what the task says of the truth (`Task.taught`).

The published procedure draws 5,000 users with replacement for each task and data set and drops duplicates afterwards;
here users and folds are drawn without replacement, so that few duplicates arise. Theirs shows the recommender's
predictions for items that it was trained on, which tell the answer; these are out of fold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np

from augment.catalog import Catalog
from augment.entities import UserEntity
from augment.instructions.options import InstructionOptions
from augment.messages import Draft
from augment.requests import Shorter, TokenCounter, fit
from augment.samples import sample
from augment.tasks.base import Impossible, Task
from augrec.artefacts.files import digest
from augrec.artefacts.held_out import HeldOut
from augrec.artefacts.instructions import Instruction
from augrec.artefacts.neighbours import Neighbours
from augrec.artefacts.tasks import Edges, Ranking, Rating

DROPPED = ("thin_users", "impossible", "undecided", "duplicates")


@dataclass
class Counts:
    """What became of what could have been an instruction.

    Attributes:
        made: instructions by task.
        dropped: by reason: `thin_users` have too few interactions; `impossible` prompts cannot be asked or do not fit
            the context; of `undecided` ones the truth leaves open what the answer is; `duplicates` are there already.
    """

    made: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(DROPPED, 0)))

    def plain(self) -> dict[str, dict[str, int]]:
        """As JSON values."""
        return {"made": dict(self.made), "dropped": dict(self.dropped)}


class Duplicates:
    """Drops instructions whose prompt and completion were there before, whatever their ids say."""

    def __init__(self, counts: Counts) -> None:
        self._counts, self._seen = counts, set[str]()

    def new(self, instruction: Instruction) -> bool:
        """Whether it was not there before; it is from now on."""
        content = digest([instruction.prompt, instruction.completion])
        if content in self._seen:
            self._counts.dropped["duplicates"] += 1
            return False
        self._seen.add(content)
        return True


class InstructionBuilder:
    """Makes the instructions of one data set.

    Args:
        catalog: what prompts may show, with the hints of the stage `base`.
        held_out: training interactions with out-of-fold scores, and drawn items.
        neighbours: of each fold, by the model that was trained without it; who is not there has nobody similar.
        options: what is made.
        dataset: the data set's name.
        hint_source: the name of the model that the scores are of.
        seed: the run's seed.
        reader: counts tokens, so that prompts are as long as the engine takes them.
        counts: what became of what; filled as instructions are made.
    """

    def __init__(
        self,
        catalog: Catalog,
        held_out: HeldOut,
        neighbours: Mapping[int, Neighbours],
        options: InstructionOptions,
        *,
        dataset: str,
        hint_source: str,
        seed: int,
        reader: TokenCounter,
        counts: Counts,
    ) -> None:
        self._catalog, self._held_out, self._options, self._seed = catalog, held_out, options, seed
        self._dataset, self._hint_source, self._reader, self.counts = dataset, hint_source, reader, counts
        self._neighbours, self._names = neighbours, catalog.ids

    def of(self, task: Task, new: Callable[[Instruction], bool] = lambda instruction: True) -> Iterator[Instruction]:
        """At most `count` instructions of a task, in an order that the seed fixes.

        Args:
            task: whose prompts.
            new: whether an instruction is wanted; another is made in place of one that is not.
        """
        left = self._options.count
        for place in self._drawn(task):
            for number in range(self._options.per_fold):
                instruction = self._make(task, place, number)
                if left and instruction is not None and new(instruction):
                    left -= 1
                    self.counts.made[task.name] += 1
                    yield instruction
            if not left:
                return

    @cached_property
    def _groups(self) -> list[HeldOut]:
        """The rows of each user and fold, without users who have too few interactions."""
        rows = self._held_out
        lengths = self._catalog.history_lengths
        users = np.unique(rows.user)
        self.counts.dropped["thin_users"] = int((lengths[users] < self._options.least_history).sum())
        fat = rows.rows(lengths[rows.user] >= self._options.least_history)
        changes = np.flatnonzero((np.diff(fat.user) != 0) | (np.diff(fat.fold) != 0)) + 1
        parts = np.split(np.arange(len(fat)), changes) if len(fat) else []
        return [fat.rows(part) for part in parts]

    def _drawn(self, task: Task) -> list[int]:
        """Places of groups in a drawn order, which does not depend on who else is there."""
        groups = self._groups
        return sample(range(len(groups)), len(groups), lambda place: self._name(groups[place]), self._stream(task))

    def _name(self, group: HeldOut) -> str:
        return f"{self._names.of('user', int(group.user[0]))}/{int(group.fold[0])}"

    def _stream(self, task: Task) -> str:
        return f"{self._seed}/instructions/{task.name}"

    def _make(self, task: Task, place: int, number: int) -> Instruction | None:
        """One instruction; None where it was dropped, and counted."""
        group = self._groups[place]
        stream = f"{self._stream(task)}/{self._name(group)}/{number}"
        chosen = self._chosen(task, group, stream)
        if chosen is None:
            self.counts.dropped["undecided"] += 1
            return None
        entity, truth = self._entity(group, chosen), _truth(task, chosen)
        try:
            draft = self._question(task, entity, stream)
        except Impossible:
            self.counts.dropped["impossible"] += 1
            return None
        answer = task.taught(draft, truth)
        if answer is None:
            self.counts.dropped["undecided"] += 1
            return None
        asked = tuple(draft.shown_candidates)
        liked = chosen.item[~chosen.drawn].tolist()
        return Instruction(
            id=f"{self._dataset}/{task.name}/{self._name(group)}/{number}",
            task=task.name,
            dataset=self._dataset,
            user=self._names.of("user", entity.user),
            prompt=tuple((message.role, message.content) for message in draft.messages),
            completion=str(answer["label"]) if draft.labels else draft.answer.written(answer),
            hint_source=self._hint_source,
            items=self._names.items(asked),
            targets=self._names.items([item for item in liked if item in asked]),
            history=self._names.items(draft.shown_history),
            similar=self._names.items(draft.shown_similar),
        )

    def _chosen(self, task: Task, group: HeldOut, stream: str) -> HeldOut | None:
        """The rows that a prompt asks about; None where there is nothing to tell apart."""
        held, drawn = np.flatnonzero(~group.drawn), np.flatnonzero(group.drawn)
        if isinstance(task.gives, Rating):
            rated = held[~np.isnan(group.rating[held])]
            return group.rows(rated) if len(rated) else None
        size = 2 if isinstance(task.gives, Edges) else self._options.list_size
        several = isinstance(task.gives, Ranking) and not task.options.labels  # a scored one asks for the favourite
        some = self._some(group, held, self._options.positives if several else 1, f"{stream}/held")
        rest = self._some(group, drawn, size - len(some), f"{stream}/drawn")
        if not len(some) or not len(rest):
            return None
        return group.rows(np.concatenate([some, rest]))

    def _some(self, group: HeldOut, places: np.ndarray, number: int, stream: str) -> np.ndarray:
        drawn = sample(places.tolist(), number, lambda place: self._names.of("item", int(group.item[place])), stream)
        return np.array(drawn, dtype=np.int64)

    def _entity(self, group: HeldOut, chosen: HeldOut) -> UserEntity:
        """The user as a prompt may show them: without all that the fold held out, and with its scores for hints."""
        user = self._catalog.user(int(group.user[0]))
        hidden = set(group.item[~group.drawn].tolist())
        best = chosen.rows(np.lexsort((chosen.item, -chosen.score)))
        similar, asked = (
            self._similar(user.user, int(group.fold[0])),
            tuple(map(self._catalog.item, best.item.tolist())),
        )
        return replace(
            user,
            history=tuple(item for item in user.history if item.item not in hidden),
            candidates=asked,
            asked=asked,
            similar=() if similar is None else similar.history[::-1],
            scores=dict(zip(best.item.tolist(), best.score.tolist(), strict=True)),
            ratings={item: rating for item, rating in user.ratings.items() if item not in hidden},
            similar_ratings={} if similar is None else similar.ratings,
        )

    def _similar(self, user: int, fold: int) -> UserEntity | None:
        """Who is most like a user, by the model that was trained without the fold."""
        nearest = self._neighbours[fold].of(user).tolist() if fold in self._neighbours else []
        return self._catalog.user(nearest[0]) if nearest else None

    def _question(self, task: Task, entity: UserEntity, stream: str) -> Draft:
        """One of the task's questions, drawn where there are several, with as much history as the context allows."""
        questions = list(task.questions(entity))
        if not questions:
            raise Impossible("no_question: the task asks nothing about this user")
        whole = questions[sample(range(len(questions)), 1, lambda place: questions[place].question, stream)[0]]
        return fit(whole, partial(Shorter(task, entity), whole.question), self._reader)


def _truth(task: Task, chosen: HeldOut) -> Mapping[int, float]:
    """How much the user likes what is asked about: the rating, or 1 for an interaction; 0 for none.

    In a ranking the drawn items have their order by the recommender's scores, below every held-out one: taught to leave
    them as shown, a model would learn an arbitrary order.
    """
    truth = {
        item: 0.0 if drawn else 1.0 if np.isnan(rating) else rating
        for item, drawn, rating in zip(chosen.item.tolist(), chosen.drawn.tolist(), chosen.rating.tolist(), strict=True)
    }
    if isinstance(task.gives, Ranking):
        drawn = chosen.rows(chosen.drawn)
        order = drawn.item[np.lexsort((drawn.item, -drawn.score))].tolist()
        truth |= {item: -float(place) for place, item in enumerate(order, start=1)}
    return truth
