"""A profile in prose (RLMRec, section 3.2): a few sentences instead of fields.

Deviations from the authors' prompts: no reasoning is asked for (see `augment.tasks.reasoning`), what is shown is the
beginning of the items' texts, and the answer's form is bounded: words of letters and digits, at most so many, the last
one followed by a full stop, an exclamation or a question mark. So a model can stop after any sentence, and has to after
the last word. What a grammar cannot say is checked: a profile that only repeats the prompt says nothing about the user,
and is asked for again.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated, Any

from pydantic import StringConstraints, create_model

from augment.answers.answer import Answer, AnswerModel
from augment.answers.token_budget import prose_budget
from augment.messages import Draft
from augment.tasks.base import Checked, Contradiction
from augment.tasks.naming import LETTERS, SAYS_NOTHING

OPENING = r"^([A-Za-z]{1,20}( [A-Za-z]{1,20}){0,4})?$"
"""What a text can be held to begin with."""
FEWEST_WORDS = 3
"""A "profile" of fewer words is a placeholder."""
MOST_OFTEN = 3
"""How often three words may follow each other in one profile; small models go round in circles."""
PLACEHOLDERS = {" ".join(re.findall(r"\w+", name)) for name in SAYS_NOTHING} | {"", "profile", "text", "nothing"}
SENTENCE = re.compile(r"(?<=[.!?]) ")
WORD = re.compile(r"\w+")


def prose_answer(words: int, letters: int, opening: str = "") -> Answer:
    """The answer {"profile": text} of at most `words` words with at most `letters` characters each.

    Args:
        opening: letters and spaces the text begins with; its words count.
    """
    text = prose_type(words, letters, opening)
    return Answer(create_model("Prose", __base__=AnswerModel, profile=(text, ...)), prose_budget(words))


def prose_type(words: int, letters: int, opening: str = "") -> Any:
    """A string of sentences, see `prose_answer`."""
    first = f"{LETTERS}0-9"
    word = f"['(]?[{first}][{first}'-]{{0,{letters - 1}}}[)']?"
    begin = f"{opening} {word}" if opening else word
    pattern = f"^{begin}([.,;:!?]? {word}){{0,{words - 1 - len(opening.split())}}}[.!?]$"
    return Annotated[str, StringConstraints(pattern=pattern)]


TERMS = Answer(create_model("Terms", __base__=AnswerModel, profile=(str, ...)))
"""The answer of the rule without a language model; no grammar holds it."""


def check_prose(answer: dict[str, Any], draft: Draft, words: int, opening: str = "") -> Checked:
    """The profile without repeated sentences and without a last one that the bound cut short.

    Args:
        words: the bound; a text that reaches it was most likely cut.
        opening: what every text begins with, and what alone says nothing.

    Raises:
        Contradiction: it is a placeholder, goes round in circles, or is nothing but sentences of the prompt.
    """
    if not answer["profile"].endswith((".", "!", "?")):
        return _check_terms(answer)  # the rule's; the grammar ends a model's text with one of these
    repairs: list[str] = []
    kept = sound_sentences(answer["profile"], "profile", words, repairs)
    text = " ".join(kept)
    _refuse_placeholder(text, opening)
    _refuse_loop(text)
    _refuse_echo(kept, draft)
    return Checked({"profile": text}, tuple(repairs))


def sound_sentences(text: str, field: str, words: int, repairs: list[str]) -> list[str]:
    """The sentences of a text, each once, without a last one that the bound of `words` words cut short."""
    sentences = SENTENCE.split(text)
    first: dict[str, str] = {}
    for sentence in sentences:
        first.setdefault(_words(sentence), sentence)
    kept = list(first.values())
    if len(kept) < len(sentences):
        repairs.append(f"{field}: {len(sentences) - len(kept)} repeated sentences cut")
    if len(text.split(" ")) >= words and len(kept) > 1:
        kept.pop()
        repairs.append(f"{field}: the last sentence cut, it reached the most words")
    return kept


def _check_terms(answer: dict[str, Any]) -> Checked:
    if not answer["profile"]:
        raise Contradiction("the history's texts hold no term", code="placeholder")
    return Checked(answer)


def _refuse_placeholder(text: str, opening: str) -> None:
    words = _words(text)
    said = words.removeprefix(_words(opening)).strip()
    if words.count(" ") + 1 < FEWEST_WORDS or said in PLACEHOLDERS:
        raise Contradiction(repr(text), code="placeholder")


def _refuse_loop(text: str) -> None:
    words = _words(text).split(" ")
    runs = Counter(zip(words, words[1:], words[2:], strict=False))
    run, count = max(runs.items(), key=lambda entry: entry[1], default=((), 0))
    if count > MOST_OFTEN:
        raise Contradiction(f"{' '.join(run)!r} {count} times", code="repetition")


def _refuse_echo(sentences: list[str], draft: Draft) -> None:
    """Refuses a text all of whose sentences stand in one line of the prompt: its instruction, or one item's text."""
    for message in draft.messages:
        for line in message.content.splitlines():
            shown = f" {_words(line)} "
            if all(f" {_words(sentence)} " in shown for sentence in sentences):
                raise Contradiction(f"the profile stands in the prompt: {line[:60]!r}", code="echo")


def _words(text: str) -> str:
    return " ".join(WORD.findall(text.casefold()))
