"""A user's templates read what they are given, run no code, end soon, and are named with their line when they fail."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from augment.options import GenerationOptions
from augment.prompts.rendering import BUILT_IN, Prompts
from augment.prompts.sandbox import LONGEST
from augrec.artefacts.errors import UsageError

GENERATION = GenerationOptions.model_validate({"sources": {"rule": {"engine": {"kind": "heuristic"}}}})
VALUES: dict[str, Any] = {"options": GENERATION, "names": ["Heat", "Up"], "ages": {"a": 1}, "long": "x" * 1000}


def render(folder: Path, template: str, name: str = "own.j2", **more: Any) -> str:
    (folder / "system.j2").write_text("system")
    (folder / name).write_text(template)
    return Prompts(folder).messages(name, **VALUES, **more)[1].content


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ options.__init__.__globals__ }}",
        "{{ options['__class__'] }}",
        "{{ options|attr('__class__') }}",
        "{{ cycler.__init__.__globals__.os.popen('touch MARK').read() }}",
        "{{ joiner.__init__.__globals__['os'].system('touch MARK') }}",
        "{{ self.__init__.__globals__ }}",
        "{{ self._TemplateReference__context }}",
        "{{ options.parse_raw('gASVKgAAAA==', proto='pickle', allow_pickle=true) }}",
        "{{ options.parse_file('/etc/passwd') }}",
        "{{ options.model_dump() }}",
        "{{ options.model_copy(update={'attempts': 9}) }}",
        "{{ '{0.__class__}'.format(options) }}",
        "{{ '{x.__class__}'.format_map({'x': options}) }}",
        "{{ names.append('x') }}",
        "{{ ages.update({'b': 2}) }}",
        "{{ names|map(attribute='__class__')|list|first }}",
        "{{ lipsum.__globals__ }}",
        "{% include '../secret.j2' %}",
        "{% include '/etc/passwd' %}",
        "{% import '../../secret.j2' as x %}",
        "{% extends '../secret.j2' %}",
    ],
)
def test_code_and_files_are_out_of_reach(tmp_path: Path, template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret.j2").write_text("secret")
    folder = tmp_path / "templates"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as error:
        render(folder, "first\n" + template)
    assert f"{folder / 'own.j2'}:2" in str(error.value)
    assert not (tmp_path / "MARK").exists()
    assert VALUES["names"] == ["Heat", "Up"]


def test_what_is_given_cannot_be_changed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot assign attribute"):
        render(tmp_path, "{% set options.attempts = 9 %}")


DOUBLING = "{% set n = namespace(x={start}) %}{% for i in range(60) %}{% set n.x = {step} %}{% endfor %}{show}"
BOMBS = [
    "{{ 'a' * 10**9 }}",
    "{{ 10**9 * 'a' }}",
    "{{ [1] * 10**9 }}",
    "{{ 10 ** (10 ** 10) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '{:>1000000000}'.format('x') }}",
    "{{ 'a'.ljust(10**9) }}",
    "{{ 'a'|center(10**9) }}",
    "{{ 'a'|indent(10**9) }}",
    "{{ ('a' * 10**5)|replace('a', 'b' * 10**5) }}",
    "{{ range(100000)|join('a' * 10**5) }}",
    "{{ (['a' * 1000] * 900)|map('replace', 'a', 'b' * 1000)|list|length }}",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{% for i in range(99999) %}{{ 'a' * 10**5 }}{% endfor %}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% include 'own.j2' %}",
    "{% include 'own.j2' %}{% include 'own.j2' %}",
    "{{ range(10**9)|list }}",
    *(
        DOUBLING.replace("{start}", start).replace("{step}", step).replace("{show}", show)
        for start, step, show in (
            ("'a'", "n.x ~ n.x", "{{ n.x|length }}"),
            ("'a'", "n.x + n.x", "{{ n.x|length }}"),
            ("'a'", "[n.x, n.x]|join", "{{ n.x|length }}"),
            ("[1]", "[n.x, n.x]", "{{ n.x }}"),
            ("[1]", "(n.x, n.x)", "{{ n.x|string }}"),
            ("[1]", "{'a': n.x, 'b': n.x}", "{{ n.x|tojson }}"),
            ("[1]", "dict(a=n.x, b=n.x)", "{{ n.x }}"),
            ("[1]", "[n.x] * 9", "{{ n.x }}"),
            ("3", "n.x * n.x", "{{ n.x > 1 }}"),
        )
    ),
]


@pytest.mark.parametrize("template", BOMBS)
def test_what_would_not_end_or_grow_too_large_is_refused_soon(tmp_path: Path, template: str) -> None:
    began = time.process_time()
    with pytest.raises(UsageError) as error:
        render(tmp_path, "\n\n" + template)
    assert time.process_time() - began < 20
    assert "own.j2" in str(error.value)


@pytest.mark.parametrize(
    ("template", "complaint", "line"),
    [
        ("{{ nobody }}", "nobody", 3),
        ("{{ names.x.y }}", "x", 3),
        ("{% for %}", "not valid", 3),
        ("{{ 1 / 0 }}", "ZeroDivisionError", 3),
        ("{{ 'a' - 1 }}", "TypeError", 3),
        ("{{ names|nofilter }}", "nofilter", 3),
        ("{% include 'none.j2' %}", r"none\.j2", 3),
        ("{{ names", "not valid", 3),
        ("{% macro m() %}\n{{ nobody }}{% endmacro %}\n{{ m() }}", "nobody", 4),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, template: str, complaint: str, line: int) -> None:
    with pytest.raises(UsageError, match=complaint) as error:
        render(tmp_path, "first\nsecond\n" + template)
    assert f"{tmp_path / 'own.j2'}:{line}" in str(error.value)


def test_a_template_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "system.j2").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"system\.j2"):
        Prompts(tmp_path).messages("line.j2")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{% for name in names %}{{ loop.index }}/{{ loop.length }} {{ name }}{{ ', ' if not loop.last }}{% endfor %}",
         "1/2 Heat, 2/2 Up"),
        ("{{ names|join('/') }} {{ names|map('upper')|join }}", "Heat/Up HEATUP"),
        ("{% for k, v in ages.items() %}{{ k ~ '=' ~ v }}{% endfor %}", "a=1"),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m('a') }}{{ m(names[0].lower()) }}", "<a><heat>"),
        ("{{ '-' * 3 }}{{ 2 + 3 }}{{ 7 % 4 }}{{ 2 ** 5 }}{{ [1] + [2] }}", "---5332[1, 2]"),
        ("{{ 'a-b'|replace('-', '+') }} {{ names|join(', ') }} {{ options.attempts }}", "a+b Heat, Up 3"),
        ("{% set n = namespace(t=0) %}{% for i in range(4) %}{% set n.t = n.t + i %}{% endfor %}{{ n.t }}", "6"),
        ("{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}", "aba"),
        ("{% for name in names %}{{ loop.cycle('x', 'y') }}{% endfor %}", "xy"),
        ("{% for x in [[1, [2]], [3]] recursive %}{{ loop(x) if x is iterable else x }}{% endfor %}", "123"),
        ("{% include 'line.j2' %}{{ 'é <b>' }}", "é <b>"),
        ("{{ names|tojson }} {{ names|sort(reverse=true)|first }}", '["Heat", "Up"] Up'),
        ("{{ 'abc'|truncate(2, true, '', 0) }}", "ab"),
        ("{% set a, b = names %}{{ b }}{{ a }}", "UpHeat"),
        ("{% call(x) outer() %}[{{ x }}]{% endcall %}", "[1]"),
    ],
)  # fmt: skip
def test_what_prompts_need_works(tmp_path: Path, template: str, text: str) -> None:
    own = "{% macro outer() %}{{ caller(1) }}{% endmacro %}"
    assert render(tmp_path, own + template) == text


def test_the_built_in_templates_read_the_same_in_the_sandbox(tmp_path: Path) -> None:
    """Line by line of a prompt with everything in it."""
    for path in BUILT_IN.glob("*.j2"):
        (tmp_path / path.name).write_text(path.read_text())
    item = {"title": "Heat", "year": 1995, "genres": ["Crime", "Drama"], "excerpt": "A heist."}
    domain = {"many": "movies", "one": "movie", "a_one": "a movie", "liked": "liked", "creator": "director"}
    domain["liked_creators"] = "directors"
    values = {
        "history": [item] * 3,
        "candidates": [item] * 2,
        "domain": domain,
        "item": item,
        "options": {"opening": "x"},
    }
    for name in ("edges.j2", "user_profile.j2", "user_profile_prose.j2", "item_attributes.j2"):
        assert Prompts(tmp_path).messages(name, **values) == Prompts().messages(name, **values)


def test_a_long_prompt_is_possible(tmp_path: Path) -> None:
    text = render(tmp_path, "{% for i in range(5000) %}{{ long[:150] }}\n{% endfor %}")
    assert 700_000 < len(text) < LONGEST
