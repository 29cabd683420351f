"""The page in a real browser: it reads, sorts, fits a telephone, runs nothing that an LLM wrote and asks no network."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.kit.html_pages import beyond_the_edge, look, open_page, printed_pages, violations

pytestmark = pytest.mark.browser


@pytest.fixture
def page(reported: Path, browser: Any) -> Any:
    resize(browser, 1280)
    browser.get("about:blank")  # the page as the test before left it has the same address
    open_page(browser, reported / "report" / "index.html")
    return browser


def resize(browser: Any, width: int, height: int = 900) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def column(browser: Any, n: int) -> list[str]:
    script = "return [...document.querySelectorAll('#main-table tbody tr')].map(r => r.cells[arguments[0]].innerText)"
    return [text.split("\n")[0].strip() for text in browser.execute_script(script, n)]


def test_the_table_shows_every_variant_in_the_order_of_the_config(page: Any, variants: list[str]) -> None:
    assert column(page, 0) == variants
    headers = page.execute_script("return [...document.querySelectorAll('#main-table th[scope=col]')].length")
    assert headers == 9


def test_columns_sort_both_ways_and_missing_values_stay_last(page: Any) -> None:
    header = page.find_elements("css selector", "#main-table thead th")[3]
    header.find_element("tag name", "button").click()
    values = [float(text.rstrip("★")) for text in column(page, 3)]
    assert values == sorted(values, reverse=True)
    assert header.get_attribute("aria-sort") == "descending"
    header.find_element("tag name", "button").click()
    assert [float(text.rstrip("★")) for text in column(page, 3)] == sorted(values)
    assert header.get_attribute("aria-sort") == "ascending"
    difference = page.find_elements("css selector", "#main-table thead th button")[3]
    for _ in range(2):
        difference.click()
        assert column(page, 0)[-1] == "lightgcn-without"
    page.find_elements("css selector", "#main-table thead th button")[0].click()
    assert column(page, 0) == sorted(column(page, 0))


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_the_first_screen_has_the_verdict_a_word_per_row_and_the_plot(page: Any, width: int, height: int) -> None:
    resize(page, width, height)
    shown = page.execute_script(
        "const inside = e => { const b = e.getBoundingClientRect();"
        "return b.top >= 0 && b.bottom <= innerHeight && b.left >= 0 && b.right <= innerWidth && b.width > 0 };"
        "const rows = [...document.querySelectorAll('#main-table tbody tr')];"
        "return [[document.querySelector('#headline')], rows.map(r => r.cells[0].querySelector('bdi')),"
        "rows.map(r => r.cells[1].querySelector('bdi')), rows.map(r => r.querySelector('.strip'))]"
        ".map(those => those.map(inside))"
    )
    assert [len(those) for those in shown] == [1, 5, 5, 5]
    assert all(all(those) for those in shown)
    assert column(page, 1) == ["worse", "undecided", "baseline", "better", "better"]


def test_a_long_table_can_be_filtered(page: Any) -> None:
    field = page.find_element("css selector", ".filter input")
    table = field.find_element("xpath", "./parent::label/following-sibling::div[1]/table")
    visible = "return [...arguments[0].tBodies[0].rows].filter(r => r.getBoundingClientRect().height).length"
    page.execute_script("arguments[0].closest('details')?.setAttribute('open', '')", field)
    before = page.execute_script(visible, table)
    wanted = table.find_elements("css selector", "tbody tr")[0].text.split()[0]
    field.send_keys(wanted.upper())
    assert 0 < page.execute_script(visible, table) < before
    field.clear()
    field.send_keys("nobody is called so")
    assert page.execute_script(visible, table) == 0


def test_nothing_an_llm_wrote_is_run(page: Any) -> None:
    assert page.title == "Does the LLM's augmentation help?"
    assert page.execute_script("return document.querySelectorAll('script, img').length") == 1
    assert "<script>document.title='owned'</script>" in page.execute_script("return document.body.textContent")


def test_an_injected_script_would_be_refused(page: Any) -> None:
    page.execute_script(
        "const s = document.createElement('script'); s.text = 'window.owned = 1'; document.body.append(s)"
    )
    assert page.execute_script("return window.owned === undefined")
    page.get_log("browser")


def test_no_errors_and_no_requests(page: Any) -> None:
    assert page.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)") == []
    assert [entry for entry in page.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def test_a_table_that_is_scrolled_sideways_keeps_its_names_with_their_heading_and_its_rules(page: Any) -> None:
    resize(page, 390, 844)
    rules = set()
    for down in (0, 0.3, 0.6):  # rows do not begin at whole pixels
        told = page.execute_async_script(
            "const table = document.querySelector('#tests-table'), scroll = table.closest('.scroll');"
            "for (let e = table; (e = e.closest('details')); e = e.parentElement) e.open = true;"
            "table.style.marginTop = `${arguments[0]}px`; table.scrollIntoView(); scroll.scrollLeft = 150;"
            "const done = arguments[1];"
            "const box = e => { const b = e.getBoundingClientRect(); return [b.left, b.bottom, b.width] };"
            "requestAnimationFrame(() => requestAnimationFrame(() => done({"
            "  edge: box(scroll)[0], names: [...table.rows].map(row => box(row.cells[0])), rule: scroll.className,"
            "  heading: document.elementFromPoint(box(scroll)[0] + 4, box(table.rows[0])[1] - 4)"
            "  .closest('th').innerText})))",
            down,
        )
        assert "variant" in told["heading"]
        assert told["rule"] == "scroll scrolled"
        assert {left for left, *_ in told["names"]} == {told["edge"]}
        shown = Image.open(io.BytesIO(page.get_screenshot_as_png())).convert("L")
        for _, bottom, width in told["names"]:
            if bottom < 800:
                near = range(round(bottom) - 3, round(bottom) + 2)
                beside_it, below_the_name = (
                    min(shown.getpixel((round(told["edge"] + x), y)) for y in near) for x in (width + 4, 2)
                )
                rules.add((round(bottom % 1, 1), beside_it, below_the_name))
    assert len(rules) > 3
    assert all(below_the_name == beside_it < 235 for _, beside_it, below_the_name in rules)


@pytest.mark.parametrize("width", [360, 400, 768, 1280])
def test_only_tables_scroll_sideways(page: Any, width: int) -> None:
    resize(page, width)
    widths = page.execute_script("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert widths[0] == widths[1] <= width
    assert beyond_the_edge(page) == []


@pytest.mark.parametrize("width", [400, 1280])
def test_one_version_of_each_figure_is_shown_and_its_text_is_legible(page: Any, width: int) -> None:
    resize(page, width)
    heights = page.execute_script(
        "return [...document.querySelectorAll('svg text')].map(t => t.getBoundingClientRect().height)"
        ".filter(height => height > 0)"
    )
    assert heights
    assert min(heights) >= 10
    shown = (
        "return [...document.querySelectorAll('figure svg')].filter(s => s.getBoundingClientRect().width > 0).length"
    )
    assert page.execute_script(shown) == 2 + 5 + 3 + 1 + 6


def test_a_hash_can_be_copied(page: Any) -> None:
    origin = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    page.execute_cdp_cmd("Browser.grantPermissions", origin)
    buttons = page.find_elements("css selector", "#provenance .copy")
    assert len(buttons) == page.execute_script("return document.querySelectorAll('.copied code').length") > 10
    named = {button.get_attribute("aria-label"): button for button in buttons}
    button = named["copy sha256 of the chat template"]
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    copied = page.execute_async_script(
        "navigator.clipboard.readText().then(arguments[0], e => arguments[0](String(e)))"
    )
    assert copied == "a3" * 32
    assert button.text == "copied"


def test_what_an_llm_wrote_stays_inside_its_box(page: Any) -> None:
    for width in (400, 1280):
        resize(page, width)
        page.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
        beyond = page.execute_script(
            "const edge = document.documentElement.clientWidth + 1;"
            "const inside = [...document.querySelectorAll('.cases *')];"
            "return inside.filter(e => e.getBoundingClientRect().right > edge).length"
        )
        assert beyond == 0
        assert page.execute_script("return document.querySelectorAll('.cases pre').length") > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(page: Any, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    names = ["paper", "raised", "ink", "muted", "accent", "warn", "series-0", "series-1", "series-2", "series-3"]
    script = (
        "const style = getComputedStyle(document.documentElement);"
        "return arguments[0].map(name => style.getPropertyValue('--' + name))"
    )
    found = dict(zip(names, (text.strip() for text in page.execute_script(script, names)), strict=True))
    for ground in ("paper", "raised"):
        for text in ("ink", "muted", "accent", "warn"):
            assert contrast(found[text], found[ground]) >= 4.5, (scheme, text, ground)
    for series in names[6:]:
        assert contrast(found[series], found["paper"]) >= 3, (scheme, series)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(page: Any, width: int, scheme: str) -> None:
    look(page, width, scheme)
    assert violations(page) == []


def test_what_nobody_can_read_is_found(page: Any) -> None:
    """A heading that is nearly gone; of one that is gone axe-core says that it cannot tell."""
    page.execute_script("document.querySelector('h1').style.opacity = 0.2")
    assert [one.partition(":")[0] for one in violations(page)] == ["color-contrast"]


def test_on_paper_it_takes_less_than_eight_sheets(page: Any) -> None:
    assert 1 < printed_pages(page) < 8


def contrast(first: str, second: str) -> float:
    """The contrast ratio of two #rrggbb colours (WCAG 2.2)."""
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
