"""Every domain that a config may name has its words."""

from __future__ import annotations

from typing import get_args

from augment.prompts.domains import ANYTHING, DOMAINS, domain_named
from augrec.artefacts.domains import DomainName


def test_every_domain_has_words_of_its_own() -> None:
    assert set(DOMAINS) == set(get_args(DomainName))
    assert len({domain.one for domain in (*DOMAINS.values(), ANYTHING)}) == len(DOMAINS) + 1
    assert [domain_named(name) for name in DOMAINS] == list(DOMAINS.values())


def test_what_has_none_is_spoken_of_as_items() -> None:
    assert domain_named(None) is domain_named("teapots") is ANYTHING
