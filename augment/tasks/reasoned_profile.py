"""User profiles from the generated profiles of a user's items (RLMRec, section 3.2), a style of `user_profile`.

Shown is a seeded sample of the user's training items, each with its title, the profile that the same source wrote of
it and what the user said about it. An item whose profile failed is shown without.

Deviations from the authors' prompts: in words of our own, one object of JSON a line; what is absent is left out instead
of being called "None". For the answer's form see `augment.tasks.reasoning`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from augment.hashes import reviews_sha256
from augment.messages import Control, Draft
from augment.prompts.presentation import beginning
from augment.prompts.safe_text import LONGEST_TEXT, plain
from augment.samples import sample
from augment.tasks.base import Checked, Context, require_history
from augment.tasks.item_profile import ItemProfile
from augment.tasks.prose import TERMS
from augment.tasks.reasoning import check_reasoned, reasoned_answer

if TYPE_CHECKING:
    from augment.entities import UserEntity
    from augment.tasks.tfidf import MeanTerms
    from augment.tasks.user_profile import UserProfileOptions

READS = (ItemProfile.name,)


class ReasonedProfile:
    """What `user_profile` does in the style `reasoned`.

    Args:
        context: with the answers to `item_profile` in its catalogue.
        options: the task's.
    """

    def __init__(self, context: Context, options: UserProfileOptions) -> None:
        self._context, self._options, self._catalog = context, options, context.catalog
        self._answer = reasoned_answer(options.most_words, options.reasoning_words, options.letters, options.opening)

    def draft(self, entity: UserEntity, drop: int = 0) -> Draft:
        """See Task. A user without history cannot be asked about."""
        require_history(entity)
        shown = self._sample(entity.user)[drop:]
        reviewed = [item for item in shown if self._catalog.reviews.text(entity.user, item) is not None]
        stored = (self._catalog.reviews.text(entity.user, item) or "" for item in reviewed)
        items = [self._facts(entity.user, item) for item in shown]
        return Draft(
            entity.user,
            self._context.prompts.messages(
                "user_profile_reasoned.j2", domain=self._catalog.domain, items=items, options=self._options
            ),
            self._answer,
            Control(lambda: {"profile": ", ".join(self._terms.of(entity.user))}, TERMS),
            shown_history=tuple(shown),
            dropped_history=drop,
            shown_reviews=tuple(reviewed),
            reviews_sha256=reviews_sha256(stored),
        )

    def check(self, answer: dict[str, Any], draft: Draft) -> Checked:
        """See `check_reasoned`."""
        options = self._options
        return check_reasoned(answer, draft, options.most_words, options.reasoning_words, options.opening)

    def _sample(self, user: int) -> list[int]:
        """The items shown, oldest first."""
        history, names = self._catalog.train_items(user).tolist(), self._catalog.source_ids("item")
        stream = f"{self._context.seed}/items/{self._catalog.source_ids('user')[user]}"
        drawn = set(sample(history, self._options.items, names.__getitem__, stream))
        return [item for item in history if item in drawn]

    def _facts(self, user: int, item: int) -> dict[str, str]:
        review = beginning([self._catalog.review(user, item)], self._options.review_words)
        facts = {"title": self._catalog.title(item), "profile": self._profile(item), "review": review}
        return {name: text for name, text in facts.items() if text}

    def _profile(self, item: int) -> str:
        """What the source wrote of an item; "" where that failed."""
        fields = self._catalog.answers[ItemProfile.name].fields(item) or {}
        return plain(str(fields.get("profile") or ""), longest=LONGEST_TEXT)

    @cached_property
    def _terms(self) -> MeanTerms:
        from augment.tasks.tfidf import MeanTerms  # brings scipy, which reading a config shall not wait for

        users, terms = self._catalog.n_users, self._context.terms
        return MeanTerms(self._catalog, users, self._sample, terms, self._documents)

    def _documents(self) -> Iterator[str]:
        """What prompts show of every item but for reviews; hidden titles are left out."""
        hidden = self._catalog.presentation.titles == "anonymous"
        for item in range(self._catalog.n_items):
            yield f"{'' if hidden else self._catalog.title(item)} {self._profile(item)}"
