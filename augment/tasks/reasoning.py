"""A profile with the reasons for it (RLMRec, section 3.2): {"profile": text, "reasoning": text}.

The profile is checked as any other in prose; of one sentence that reaches the bound, as small models write them, the
last clause is cut, which the bound left unfinished. The reasoning is kept in the record for people to read and is not
embedded: repeated and cut sentences are taken out of it, and nothing in it is a cause to ask again.

Deviation: the authors call the profile `summarization`, and bound neither text but by asking for it.
"""

from __future__ import annotations

from typing import Any

from pydantic import create_model

from augment.answers.answer import Answer, AnswerModel
from augment.answers.token_budget import prose_budget
from augment.messages import Draft
from augment.tasks.base import Checked
from augment.tasks.prose import check_prose, prose_type, sound_sentences


def reasoned_answer(words: int, reasoning_words: int, letters: int, opening: str = "") -> Answer:
    """The answer of a profile of at most `words` words, then its reasons in at most `reasoning_words`.

    Args:
        letters: most characters in a word.
        opening: what the profile begins with, see `augment.tasks.prose.prose_answer`.
    """
    fields: dict[str, Any] = {
        "profile": (prose_type(words, letters, opening), ...),
        "reasoning": (prose_type(reasoning_words, letters), ...),
    }
    budget = prose_budget(words) + prose_budget(reasoning_words)
    return Answer(create_model("Reasoned", __base__=AnswerModel, **fields), budget)


def check_reasoned(
    answer: dict[str, Any], draft: Draft, words: int, reasoning_words: int, opening: str = ""
) -> Checked:
    """The profile as `check_prose` leaves it, and the reasoning without repeated and cut sentences.

    A rule gives a profile without reasons.

    Raises:
        Contradiction: see `check_prose`.
    """
    if "reasoning" not in answer:
        return check_prose(answer, draft, words, opening)
    repairs: list[str] = []
    text = _whole_clauses(answer["profile"], words, repairs)
    profile = check_prose({"profile": text}, draft, words, opening)
    repairs += profile.repairs
    reasoning = " ".join(sound_sentences(answer["reasoning"], "reasoning", reasoning_words, repairs))
    return Checked({**profile.fields, "reasoning": reasoning}, tuple(repairs))


def _whole_clauses(text: str, words: int, repairs: list[str]) -> str:
    """One sentence of `words` words or more without its last clause, where at least half of it stays."""
    whole, comma, _ = text.rpartition(", ")
    one_sentence = not any(mark in text[:-1] for mark in (". ", "! ", "? "))
    if not comma or not one_sentence or len(text.split(" ")) < words or 2 * len(whole.split(" ")) < words:
        return text
    repairs.append("profile: the last clause cut, it reached the most words")
    return f"{whole}."
