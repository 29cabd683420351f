"""HTML in texts, removed: tags go, entities become the letters they stand for. "I <3 AT&T" has neither."""

from __future__ import annotations

import html
import re

import pyarrow as pa
import pyarrow.compute as pc

BLOCKS = (
    "address article aside blockquote br center dd details div dl dt fieldset figcaption figure footer form h1 h2 h3 "
    "h4 h5 h6 header hr iframe img li main nav ol p pre section table tbody td tfoot th thead tr ul video"
)
"""Names of tags that separate what stands before and after them."""
INLINE = (
    "a abbr acronym b bdi bdo big button cite code del dfn em embed font i input ins kbd label link mark meta noscript "
    "object param q s samp small source span strike strong sub summary sup tt u var wbr body html head"
)
_BLOCK_NAMES, _INLINE_NAMES = frozenset(BLOCKS.split()), frozenset(INLINE.split())
_TAG = re.compile(r"</?([A-Za-z][A-Za-z0-9]*)(?:\s[^<>]*)?\s*/?>")
_UNSEEN = re.compile(r"<!--.*?-->|<(script|style)\b[^>]*>.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_SUSPECT = r"&[#A-Za-z][#A-Za-z0-9]*;|<[!/A-Za-z]"
_SPACES = re.compile(r"[ \t\xa0]{2,}")
TIMES = 3
"""How often a text is unescaped: shops escape what was escaped before (&amp;amp;)."""


def plain_text(text: str) -> str:
    """The text without tags and entities; as it is where it holds none.

    >>> plain_text("Sea Foam &amp;amp; Clay<br>for <b>dry</b> skin, 3 < 4")
    'Sea Foam & Clay for dry skin, 3 < 4'
    """
    before = text
    for _ in range(TIMES):
        stripped = _TAG.sub(_without_tag, _UNSEEN.sub(" ", text))
        unescaped = _ENTITY.sub(lambda match: html.unescape(match[0]), stripped)
        if unescaped == text:
            break
        text = unescaped
    return text if text == before else _SPACES.sub(" ", text).strip()


def without_markup(texts: pa.Array) -> tuple[pa.Array, int]:
    """An array of strings, nulls included, without markup, and how many it changed."""
    suspect = pc.fill_null(pc.match_substring_regex(texts, _SUSPECT), False)
    if not pc.any(suspect).as_py():
        return texts, 0
    old = texts.filter(suspect)
    new = pa.array([plain_text(text) for text in old.to_pylist()], texts.type)
    changed = int(pc.sum(pc.not_equal(old, new)).as_py() or 0)
    return pc.replace_with_mask(texts, suspect, new), changed


def blank_is_null(texts: pa.Array) -> pa.Array:
    """An array of strings in which those of nothing but blanks are null."""
    blank = pc.equal(pc.utf8_trim_whitespace(texts), "")
    return pc.if_else(blank, pa.scalar(None, texts.type), texts) if pc.any(blank).as_py() else texts


def _without_tag(match: re.Match[str]) -> str:
    name = match[1].lower()
    return " " if name in _BLOCK_NAMES else "" if name in _INLINE_NAMES else match[0]
