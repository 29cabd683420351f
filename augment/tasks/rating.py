"""Rating: what a user would rate an item, one question per candidate (Llama4Rec, the pointwise prompt).

Deviations from the authors' prompts, which are not published: the answer is one of the numbers of the data's scale and
nothing else can be decoded, where theirs is parsed and a wrong one replaced by 3; `mode: score` reads the probabilities
of all numbers and gives their mean, which is finer than a whole number; the hint is shown with one decimal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, create_model

from augment.answers.answer import Answer, AnswerModel
from augment.answers.scoring import label_answer, normalised
from augment.messages import Control, Draft, Sampling
from augment.tasks.base import Checked, Context, Impossible, Task, require_history
from augment.tasks.hints import HintOptions, similar_of
from augment.tasks.scored_question import SHARPNESS
from augrec.artefacts import tasks as kinds
from augrec.artefacts.errors import UsageError
from augrec.artefacts.tasks import About, Gives

if TYPE_CHECKING:
    from augment.catalog import Catalog
    from augment.entities import Item, UserEntity

MOST_STEPS = 21
"""Numbers on a scale; more are no scale, but a measurement."""
DIGITS = 6


class RatingOptions(HintOptions):
    """Asking for a rating."""

    sampling: Sampling = Sampling(temperature=0.0)
    """How tokens are drawn; greedy unless given, as published."""
    candidates: int = Field(default=10, ge=1, le=50)
    """How many of a user's best candidates are asked about, each in a question of its own."""
    mode: Literal["number", "score"] = "number"
    """number: the model writes the number. score: the probabilities of all numbers are read, and their mean is the
    rating; each has to be one token, and `sampling` plays no part."""
    scale: Annotated[tuple[float, ...], Field(min_length=2, max_length=MOST_STEPS)] | None = None
    """The numbers that can be given, rising; null: from the lowest to the highest rating in training, by whole numbers
    or, where there are others, by halves; 1 to 5 where the data have none."""

    @property
    def labels(self) -> tuple[str, ...]:
        """See TaskOptions; of a task that knows its scale."""
        return tuple(map(_written, self.scale)) if self.mode == "score" and self.scale else ()


@cache
def rating_answer(scale: tuple[float, ...]) -> Answer:
    """One number of a scale: {"rating": 4}; of a scale with halves a text, {"rating": "3.5"}."""
    whole = all(value == int(value) for value in scale)
    numbers: Any = tuple(int(value) if whole else _written(value) for value in scale)
    number: Any = Literal[numbers]
    return Answer(create_model("Rated", __base__=AnswerModel, rating=(number, ...)))


class Rating(Task):
    """Stored fields: {"rating": number}, of the item in `shown_candidates`.

    With `mode: score` the mean over the probabilities of the scale's numbers, and these as "probabilities".
    """

    name: ClassVar[str] = "rating"
    about: ClassVar[About] = "user"
    gives: ClassVar[Gives] = kinds.Rating()
    Options: ClassVar[type[HintOptions]] = RatingOptions

    def __init__(self, context: Context, options: RatingOptions) -> None:
        scale = scale_of(context.catalog) if options.scale is None else options.scale
        self.options: RatingOptions = options.model_copy(update={"scale": scale})
        self.scale = scale
        self._context = context
        self.most_questions = options.candidates

    def questions(self, entity: UserEntity, drop: int = 0) -> Iterator[Draft]:
        """See Task: one for each candidate. A user without history or candidates cannot be asked about."""
        require_history(entity)
        if not entity.candidates:
            raise Impossible("too_few_candidates: the user has none")
        history = entity.history[-self._context.max_history :][drop:]
        for item in entity.candidates[: self.options.candidates]:
            yield self._about(entity, history, item, drop)

    def _about(self, entity: UserEntity, history: tuple[Item, ...], item: Item, drop: int) -> Draft:
        similar = similar_of(entity, self.options)
        predicted = entity.scores.get(item.item) if self.options.prediction else None
        labels = tuple(map(_written, self.scale))
        messages = self._context.prompts.messages(
            "rating.j2",
            domain=self._context.catalog.domain,
            history=history,
            given=_stars(history, entity.ratings),
            similar=similar,
            stars=_stars(similar, entity.similar_ratings),
            asked=item,
            predicted_rating=None if predicted is None else f"{predicted:.1f}",
            scale=labels,
            scored=self.options.mode == "score",
        )
        scored = self.options.mode == "score"
        answer = label_answer(labels) if scored else rating_answer(self.scale)
        rule = (lambda: self._likely(entity, history, item)) if scored else (lambda: self._guess(entity, history, item))
        return Draft(
            entity.user,
            messages,
            answer,
            Control(rule, answer),
            shown_history=tuple(one.item for one in history),
            shown_candidates=(item.item,),
            dropped_history=drop,
            labels=labels if scored else (),
            question=self._context.catalog.ids.of("item", item.item),
            shown_similar=tuple(one.item for one in similar),
        )

    def check(self, answer: dict[str, Any], draft: Draft) -> Checked:
        """The number; of a scored answer the mean over the scale."""
        if not draft.labels:
            return Checked({"rating": float(answer["rating"])})
        (logprobs,) = answer["label_logprobs"]
        shares = {
            value: math.exp(share) for value, share in normalised(dict(zip(self.scale, logprobs, strict=True))).items()
        }
        mean = math.fsum(value * share for value, share in shares.items())
        return Checked(
            {
                "rating": round(mean, DIGITS),
                "probabilities": [[value, round(share, DIGITS)] for value, share in shares.items()],
            }
        )

    def taught(self, draft: Draft, truth: Mapping[int, float]) -> dict[str, Any] | None:
        """See Task: the number of the scale that is nearest to the rating; None where it is not known."""
        given = truth.get(draft.shown_candidates[0])
        if given is None:
            return None
        nearest = self._nearest(given)
        return {"label": _written(nearest)} if draft.labels else self._answer(nearest)

    def _nearest(self, value: float) -> float:
        return min(self.scale, key=lambda step: (abs(step - value), step))

    def _answer(self, value: float) -> dict[str, Any]:
        whole = all(step == int(step) for step in self.scale)
        return {"rating": int(value) if whole else _written(value)}

    def _guess(self, entity: UserEntity, history: Sequence[Item], item: Item) -> dict[str, Any]:
        """The control: what the user gave to shown items that share a genre with this one, else to all; rounded."""
        return self._answer(self._nearest(self._mean(entity, history, item)))

    def _likely(self, entity: UserEntity, history: Sequence[Item], item: Item) -> dict[str, float]:
        """The same as log-probabilities that fall off around it."""
        mean, spread = self._mean(entity, history, item), max(self.scale) - min(self.scale)
        return normalised({_written(step): -SHARPNESS * abs(step - mean) / spread for step in self.scale})

    def _mean(self, entity: UserEntity, history: Sequence[Item], item: Item) -> float:
        given = {one: entity.ratings[one.item] for one in history if one.item in entity.ratings}
        alike = [value for one, value in given.items() if set(one.genres) & set(item.genres)]
        known = alike or list(given.values())
        return sum(known) / len(known) if known else (min(self.scale) + max(self.scale)) / 2


def scale_of(catalog: Catalog) -> tuple[float, ...]:
    """The scale on which a data set's training ratings lie; see `RatingOptions.scale`.

    Raises:
        UsageError: they lie on none.
    """
    values = catalog.ratings.values()
    if not len(values):
        return (1.0, 2.0, 3.0, 4.0, 5.0)
    halves = any(value != int(value) for value in values)
    step = 0.5 if halves else 1.0
    low, high = min(values), max(values)
    count = round((high - low) / step) + 1
    if any((value / step) != int(value / step) for value in values) or not 2 <= count <= MOST_STEPS:
        raise UsageError(
            f"the training ratings go from {low:g} to {high:g} and are no scale of 2 to {MOST_STEPS} whole or half "
            "numbers",
            where="dataset",
            remedy="set generation.tasks.rating.scale, e.g. [1, 2, 3, 4, 5]",
        )
    return tuple(low + step * place for place in range(count))


def _stars(items: Sequence[Item], ratings: Mapping[int, float]) -> dict[int, str]:
    return {item.item: _written(ratings[item.item]) for item in items if item.item in ratings}


def _written(value: float) -> str:
    return f"{value:g}"
