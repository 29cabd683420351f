"""The grammar of an order of labels admits every permutation and nothing else."""

from __future__ import annotations

import json
import math
import random
import re
from itertools import permutations

import pytest

from augment.answers.answer import Malformed
from augment.answers.permutations import MOST_EXACT, permutation_answer

Rules = dict[str, list[tuple[str, str]]]


def rules_of(ebnf: str) -> Rules:
    """A grammar in which a rule is a choice of a text and at most one other rule, read without the code that wrote it.

    rule -> [(text, the rule after it or "")].
    """
    rules: Rules = {}
    for line in ebnf.splitlines():
        name, _, alternatives = line.partition(" ::= ")
        assert name not in rules
        rules[name] = []
        for alternative in alternatives.split(" | "):
            found = re.fullmatch(r'"((?:[^"\\]|\\.)*)"(?: (\w+))?', alternative)
            assert found, alternative
            rules[name].append((json.loads(f'"{found[1]}"'), found[2] or ""))
    return rules


def texts(rules: Rules, name: str = "root") -> list[str]:
    return [text + rest for text, after in rules[name] for rest in (texts(rules, after) if after else [""])]


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_the_texts_of_the_grammar_are_all_permutations(count: int) -> None:
    found = texts(rules_of(permutation_answer(count).ebnf))
    orders = [json.loads(text) for text in found]
    assert sorted(orders, key=str) == sorted(
        ({"order": list(order)} for order in permutations(range(1, count + 1))), key=str
    )
    assert len(found) == math.factorial(count)
    assert found == [json.dumps(order, separators=(",", ":")) for order in orders], "compact, as they are parsed"


def test_ten_labels_have_as_many_texts_as_orders_in_a_grammar_that_is_small() -> None:
    answer = permutation_answer(MOST_EXACT)
    rules = rules_of(answer.ebnf)
    assert len(rules) == 2**MOST_EXACT - 1
    assert len(answer.ebnf) < 70_000
    counts: dict[str, int] = {"": 1}

    def count(name: str) -> int:
        if name not in counts:
            counts[name] = sum(count(after) for _, after in rules[name])
        return counts[name]

    assert count("root") == math.factorial(MOST_EXACT)
    rng = random.Random(5)
    for _ in range(50):
        name, text = "root", ""
        while name or not text:
            part, name = rng.choice(rules[name])
            text += part
        assert sorted(answer.parse(text)["order"]) == list(range(1, MOST_EXACT + 1))
        assert len(text) <= answer.max_tokens


def test_an_engine_that_takes_the_rules_admits_no_repetition() -> None:
    xgrammar = pytest.importorskip("xgrammar")
    characters = [*'0123456789,[]{}":order', "<end>"]
    compiler = xgrammar.GrammarCompiler(xgrammar.TokenizerInfo(characters, stop_token_ids=[len(characters) - 1]))
    matcher = xgrammar.GrammarMatcher(compiler.compile_grammar(permutation_answer(10).ebnf))
    assert matcher.accept_string('{"order":[3,1,10,2,4,5,9,7,8,6]}')
    matcher.reset()
    assert matcher.accept_string('{"order":[3,1,10,2,4')
    for wrong in (",3", ",1,", ",11", ", 5", "]"):
        assert not matcher.accept_string(wrong), wrong
    assert matcher.accept_string(",5")


def test_a_longer_list_is_held_to_the_schema_alone() -> None:
    answer = permutation_answer(MOST_EXACT + 1)
    assert answer.ebnf == ""
    with pytest.raises(Malformed):
        answer.parse(json.dumps({"order": list(range(1, 11))}))
    with pytest.raises(Malformed):
        answer.parse(json.dumps({"order": list(range(2, 13))}))


def test_the_rules_are_part_of_what_an_answer_is() -> None:
    fingerprints = {permutation_answer(count).fingerprint for count in (3, 4, 11)}
    assert len(fingerprints) == 3
    assert permutation_answer(3) is permutation_answer(3)
