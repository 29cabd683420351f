"""Answers that are an order of labels 1 to n: every label once, best first.

No JSON schema of a bearable size says that a list repeats nothing (a choice over all orders has n! branches), but rules
do: which labels may follow depends only on which are used already, so one rule for each set of used labels is exact.
That is 2^n rules, 1,024 for ten labels, and 68 KB of text. Longer lists are held to the schema (n labels, repeated or
not), and whoever checks the answer keeps the first place of a label that is repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, create_model

from augment.answers.answer import Answer, AnswerModel

MOST_EXACT = 10
"""Labels; each one more doubles the rules, which an engine reads again with every request."""
BEGIN, END = '{\\"order\\":[', "]}"


@cache
def permutation_answer(count: int) -> Answer:
    """All labels 1..count in an order: {"order": [3, 1, 2]}. One grammar for all lists of this length."""
    label: Any = Literal[tuple(range(1, count + 1))]
    labels: Any = Annotated[list[label], Field(min_length=count, max_length=count)]
    order = create_model("Order", __base__=AnswerModel, order=(labels, ...))
    return Answer(order, ebnf="\n".join(_rules(count)) if count <= MOST_EXACT else "")


def _rules(count: int) -> Iterator[str]:
    """One rule for each set of used labels, as bits: the label that follows, and the rule of the set with it."""
    full = (1 << count) - 1
    for used in range(full):
        before = "," if used else BEGIN
        choices = (label for label in range(count) if not used >> label & 1)
        followed = ((label, used | 1 << label) for label in choices)
        alternatives = (
            f'"{before}{label + 1}{END}"' if after == full else f'"{before}{label + 1}" r{after:x}'
            for label, after in followed
        )
        yield f"{f'r{used:x}' if used else 'root'} ::= {' | '.join(alternatives)}"
