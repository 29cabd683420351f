"""User profiles: who a user may be and what they like, guessed from their history (LLMRec, section 3.2).

In prose (RLMRec) the answer is a short text instead, see `augment.tasks.prose` and, with the reasons for it,
`augment.tasks.reasoned_profile`; what follows is about fields.

Deviations from the authors' prompt: every field has a closed or bounded form, genres come from the data set's own
vocabulary when it has one, and a genre cannot be liked and disliked. A grammar cannot say the last without one branch
per subset, so an answer that breaks it is asked again with the contested genres taken out of the dislikes.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, create_model

from augment.answers.answer import Answer, AnswerModel
from augment.messages import Control, Draft
from augment.tasks.base import Checked, Context, Contradiction, NamingOptions, Task, TaskOptions, require_history
from augment.tasks.naming import UNKNOWN, distinct, informative, known_or_missing, list_of, name_type
from augment.tasks.prose import OPENING, TERMS, check_prose, prose_answer
from augment.tasks.reasoned_profile import READS, ReasonedProfile
from augrec.artefacts.tasks import About, Gives, Text

Style = Literal["fields", "prose", "reasoned"]
WORDS: dict[Style, int] = {"fields": 0, "prose": 60, "reasoned": 100}
"""Most words of a text, where the config does not say."""
AGES = ("under 18", "18-24", "25-34", "35-44", "45-54", "55 and over")
GENDERS = ("female", "male")

if TYPE_CHECKING:
    from augment.entities import Item, UserEntity
    from augment.tasks.tfidf import HistoryTerms


class UserProfileOptions(NamingOptions):
    """Asking who a user is."""

    style: Style = "fields"
    """fields: LLMRec's, such as age, liked genres and country. reasoned: RLMRec's, a text and the reasons for it, from
    the source's answers to item_profile, which it waits for. prose: a text without reasons, from the items' own."""
    words: int | None = Field(default=None, ge=10, le=300)
    """Most words of a text, prose or reasoned. null: 60 in prose, 100 reasoned."""
    letters: int = Field(default=24, ge=8, le=60)
    """Most characters in a word of such a text."""
    opening: str = Field(default="This person enjoys", pattern=OPENING)
    """What every such text begins with; it keeps small models from retelling a book. Empty: they begin as they like."""
    reasoning_words: int = Field(default=100, ge=10, le=300)
    """Most words of the reasoning, which is stored and not embedded."""
    items: int = Field(default=6, ge=1, le=100)
    """How many of the user's training items are shown for a reasoned text, drawn with the run's seed."""
    review_words: int = Field(default=200, ge=1, le=1000)
    """Words shown there of the user's own review of an item."""
    most_genres: int = Field(default=500, ge=1, le=2000)
    """Most genres an answer can name: of a larger vocabulary those that the most training interactions have. A grammar
    over 500 names compiles in 0.1 s of CPU time, one over 5,000 in 1 to 5 s and longer for larger token vocabularies,
    and again for every answer that likes and dislikes the same genre."""
    liked_genres: int = Field(default=3, ge=1, le=10)
    """Most genres a user likes."""
    disliked_genres: int = Field(default=2, ge=1, le=10)
    """Most genres a user dislikes."""
    creators: int = Field(default=2, ge=1, le=10)
    """Most directors (authors, developers, ...) a user likes."""

    @property
    def most_words(self) -> int:
        """Most words of a text."""
        return self.words or WORDS[self.style]


class UserProfile(Task):
    """Stored fields (movies): age, gender, liked_genres, disliked_genres, liked_directors, country, language.

    In prose: profile. Reasoned: profile, reasoning.
    """

    name: ClassVar[str] = "user_profile"
    about: ClassVar[About] = "user"
    gives: ClassVar[Gives] = Text()
    Options: ClassVar[type[TaskOptions]] = UserProfileOptions

    def __init__(self, context: Context, options: UserProfileOptions) -> None:
        self.options: UserProfileOptions = options
        self._context = context
        self._domain = context.catalog.domain
        self._genres = context.catalog.commonest_genres(options.most_genres)
        self._answer = self._answer_with(self._genres, self._genres)
        self._control = self._answer_with(self._genres, self._genres, control=True)
        self._reasoned: ReasonedProfile | None = None
        if options.style == "prose":
            self._answer, self._control = prose_answer(options.most_words, options.letters, options.opening), TERMS
        elif options.style == "reasoned":
            self._reasoned = ReasonedProfile(context, options)
            self.reads, self.gives, self.shows = READS, Text(field="profile"), "sample"  # type: ignore[misc]

    @classmethod
    def reads_with(cls, options: TaskOptions) -> tuple[str, ...]:
        """Reasoned profiles quote those of the items."""
        return READS if isinstance(options, UserProfileOptions) and options.style == "reasoned" else ()

    def draft(self, entity: UserEntity, drop: int = 0) -> Draft:
        """See Task. A user without history cannot be asked about."""
        if self._reasoned:
            return self._reasoned.draft(entity, drop)
        require_history(entity)
        history = entity.history[-self._context.max_history :][drop:]
        prose = self.options.style == "prose"
        template = "user_profile_prose.j2" if prose else "user_profile.j2"
        return Draft(
            entity.user,
            self._context.prompts.messages(template, domain=self._domain, history=history, options=self.options),
            self._answer,
            Control(lambda: self._by_terms(entity.user) if prose else self._by_counts(history), self._control),
            shown_history=tuple(item.item for item in history),
            dropped_history=drop,
        )

    def check(self, answer: dict[str, Any], draft: Draft) -> Checked:
        """A text that says something; or lists without repeats or placeholders, liked and disliked genres apart.

        Raises Contradiction where asking again may help.
        """
        if self.options.style == "prose":
            return check_prose(answer, draft, self.options.most_words, self.options.opening)
        if self._reasoned:
            return self._reasoned.check(answer, draft)
        return self._check_fields(answer)

    def _check_fields(self, answer: dict[str, Any]) -> Checked:
        repairs: list[str] = []
        fields = dict(answer)
        creators = self._domain.liked_creators
        for name in ("liked_genres", "disliked_genres", creators):
            fields[name] = distinct(fields[name], name, repairs)
        both = {genre.casefold() for genre in fields["liked_genres"]} & {
            g.casefold() for g in fields["disliked_genres"]
        }
        if both:
            raise self._contradiction(fields["liked_genres"], both)
        named = [name for name in fields[creators] if informative(name, creators)]
        if len(named) < len(fields[creators]):
            repairs.append(f"{creators}: {len(fields[creators]) - len(named)} placeholder")
            fields[creators] = named
        for name in ("country", "language"):
            fields[name] = known_or_missing(fields[name], name, repairs)
        return Checked(fields, tuple(repairs))

    def _contradiction(self, liked: list[str], both: set[str]) -> Contradiction:
        reason = f"liked and disliked: {', '.join(sorted(both))}"
        dislikable = tuple(genre for genre in self._genres if genre not in liked)
        if not dislikable:
            return Contradiction(reason)
        narrower = self._answer_with(tuple(liked), dislikable)
        return Contradiction(reason, narrower, "disliked_genres: drawn again without the liked ones")

    def _answer_with(self, likable: tuple[str, ...], dislikable: tuple[str, ...], *, control: bool = False) -> Answer:
        """The answer over these genres. The control may leave lists empty and say that it does not know."""
        options, name = self.options, name_type(self.options)
        least, ages, genders = (0, (*AGES, UNKNOWN), (*GENDERS, UNKNOWN)) if control else (1, AGES, GENDERS)
        fields: dict[str, Any] = {
            "age": Literal[ages],
            "gender": Literal[genders],
            "liked_genres": list_of(Literal[likable] if likable else name, least, options.liked_genres),
            "disliked_genres": list_of(Literal[dislikable] if dislikable else name, least, options.disliked_genres),
            self._domain.liked_creators: list_of(
                name_type(options, digits=self._domain.digits), least, options.creators
            ),
            "country": name,
            "language": name,
        }
        required: Any = {key: (kind, ...) for key, kind in fields.items()}
        return Answer(create_model("Profile", __base__=AnswerModel, **required))

    @cached_property
    def _terms(self) -> HistoryTerms:
        from augment.tasks.tfidf import HistoryTerms  # brings scipy, which reading a config shall not wait for

        return HistoryTerms(self._context.catalog, self._context.max_history, self._context.terms)

    def _by_terms(self, user: int) -> dict[str, Any]:
        """The control in prose: the history's terms by TF-IDF."""
        return {"profile": ", ".join(self._terms.of(user))}

    def _by_counts(self, history: tuple[Item, ...]) -> dict[str, Any]:
        """The control: the history's commonest genres are liked; the catalogue's commonest absent ones disliked.

        A user who knows every genre dislikes those they know least. Ties go by name.
        """
        common = self._context.catalog.genre_counts
        if self._genres:
            common = {genre: common[genre] for genre in self._genres}
        counts = Counter(genre for item in history for genre in item.genres if not common or genre in common)
        liked = sorted(counts, key=lambda genre: (-counts[genre], genre))[: self.options.liked_genres]
        others = [genre for genre in common if genre not in liked]
        disliked = sorted(others, key=lambda genre: (counts[genre], -common[genre], genre))
        return {
            "age": UNKNOWN,
            "gender": UNKNOWN,
            "liked_genres": liked,
            "disliked_genres": disliked[: self.options.disliked_genres],
            self._domain.liked_creators: [],
            "country": UNKNOWN,
            "language": UNKNOWN,
        }
