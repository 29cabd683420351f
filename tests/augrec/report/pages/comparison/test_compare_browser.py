"""The page of a comparison in a real browser: sorted, switched, legible, fitting, and deaf to what an LLM wrote."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import page_content
import pytest

from augrec.report.pages.comparison.page import write_page
from tests.kit.html_pages import beyond_the_edge, open_page, violations

pytestmark = pytest.mark.browser

RESULTS = ".group.chosen table[id^=results]"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for make in (page_content.realistic, page_content.hostile, page_content.minimal):
        write_page(page_content.results(make()), folder / f"{make.__name__}.html")
    return {path.stem: path for path in folder.iterdir()}


@pytest.fixture
def show(browser: Any, pages: dict[str, Path]) -> Any:
    """`show(name, width=, scheme=, media=)` opens a page."""

    def opened(name: str = "realistic", *, width: int = 1280, scheme: str = "light", media: str = "") -> Any:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
        browser.get("about:blank")  # the page as the test before left it has the same address
        for log in ("browser", "performance"):
            browser.get_log(log)
        open_page(browser, pages[name])
        return browser

    yield opened
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def column(browser: Any, n: int) -> list[str]:
    script = f"return [...document.querySelectorAll('{RESULTS} tbody tr')].map(r => r.cells[arguments[0]].innerText)"
    return [text.split("\n")[0].strip() for text in browser.execute_script(script, n)]


def shown_groups(browser: Any) -> list[str]:
    return browser.execute_script(
        "return [...document.querySelectorAll('.group')].filter(g => g.getBoundingClientRect().height > 0)"
        ".map(g => g.dataset.title)"
    )


@pytest.mark.parametrize("name", ["realistic", "hostile", "minimal"])
def test_it_asks_no_network_and_runs_nothing_but_its_own_script(show: Any, name: str) -> None:
    page = show(name)
    requests = [entry["message"] for entry in page.get_log("performance") if "requestWillBeSent" in entry["message"]]
    assert [message for message in requests if f"{name}.html" not in message] == []
    assert page.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert [entry for entry in page.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    assert page.title != "owned"
    assert page.execute_script("return document.querySelectorAll('script, img, iframe, object, form').length") == 1
    page.switch_to.default_content()  # an open dialog would fail here and above
    assert page.execute_script("return [...document.querySelectorAll('a')].every(a => a.hash)")


def test_an_injected_script_would_be_refused(show: Any) -> None:
    page = show("hostile")
    page.execute_script(
        "const s = document.createElement('script'); s.text = 'window.owned = 1'; document.body.append(s);"
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.owned = 1\">');"
    )
    assert page.execute_async_script("setTimeout(() => arguments[0](window.owned === undefined), 50)")
    page.get_log("browser")


def test_text_does_not_leave_its_box_or_turn_its_neighbours(show: Any) -> None:
    page = show("hostile")
    isolated = page.execute_script(
        "return [...document.querySelectorAll('.written, bdi')]"
        ".every(e => getComputedStyle(e).unicodeBidi === 'isolate')"
    )
    assert isolated
    direction = page.execute_script(
        "return [...document.querySelectorAll('.written')].filter(e => e.innerText.trim().startsWith('فيلم'))"
        ".map(e => getComputedStyle(e).direction)"
    )
    assert direction
    assert set(direction) == {"rtl"}


@pytest.mark.parametrize("width", [360, 400, 768, 1280])
@pytest.mark.parametrize("name", ["realistic", "hostile", "minimal"])
def test_only_tables_scroll_sideways(show: Any, name: str, width: int) -> None:
    page = show(name, width=width)
    page.execute_script("for (const d of document.querySelectorAll('details')) d.open = true")
    widths = page.execute_script("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert widths[0] == widths[1] <= width
    assert beyond_the_edge(page) == []


def test_the_mouse_sorts_both_ways_and_missing_values_stay_last(show: Any) -> None:
    page = show()
    assert column(page, 0)[:2] == ["GPT-3.5, published", "GPT-3.5 on the same 1,000 users"]
    header = page.find_elements("css selector", f"{RESULTS} thead th")[3]
    assert header.get_attribute("aria-sort") is None
    for direction in ("descending", "ascending"):
        header.find_element("tag name", "button").click()
        assert header.get_attribute("aria-sort") == direction
        found = [float(text.replace("−", "-")) for text in column(page, 3)[:-2]]
        assert found == sorted(found, reverse=direction == "descending")
        assert column(page, 3)[-2:] == ["–", "–"]
    page.find_elements("css selector", f"{RESULTS} thead button")[0].click()
    assert column(page, 0) == sorted(column(page, 0), key=str.lower)
    page.find_elements("css selector", f"{RESULTS} thead button")[1].click()
    assert sorted(column(page, 1)) in (column(page, 1), column(page, 1)[::-1])
    assert header.get_attribute("aria-sort") is None


def test_the_keyboard_sorts_and_scrolls(show: Any) -> None:
    page = show()
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    region = page.find_element("css selector", ".group.chosen .scroll")
    region.send_keys(keys.TAB)
    focused = page.switch_to.active_element
    assert focused.tag_name == "button"
    focused.send_keys(keys.TAB)
    page.switch_to.active_element.send_keys(keys.TAB)
    page.switch_to.active_element.send_keys(keys.ENTER)
    headers = page.find_elements("css selector", f"{RESULTS} thead th")
    assert [header.get_attribute("aria-sort") for header in headers[:4]] == [None, None, "descending", None]
    found = [float(text) for text in column(page, 2)]
    assert found == sorted(found, reverse=True)
    page.switch_to.active_element.send_keys(keys.SPACE)
    assert headers[2].get_attribute("aria-sort") == "ascending"


def test_groups_switch_by_mouse_and_keyboard(show: Any) -> None:
    page = show()
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    assert shown_groups(page) == ["All test users"]
    page.find_elements("css selector", ".switch label")[1].click()
    assert shown_groups(page) == ["Profiled users"]
    page.switch_to.active_element.send_keys(keys.ARROW_RIGHT)
    assert shown_groups(page) == ["Long histories"]
    assert page.find_element("css selector", f"{RESULTS} caption").text.startswith("Long histories")
    legend = page.find_element("css selector", "fieldset.switch legend").text
    assert legend == "Users"


def test_without_script_every_group_opens_by_itself(show: Any, browser: Any) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    page = show()
    summaries = page.find_elements("css selector", ".group > summary")
    assert [summary.text.split("\n")[0][:14] for summary in summaries[:2]] == ["All test users", "Profiled users"]
    tables = page.find_elements("css selector", ".group table[id^=results]")
    assert [table.is_displayed() for table in tables] == [True, False, False, False, False]
    summaries[1].click()
    assert tables[1].is_displayed()
    assert page.find_elements("css selector", ".switch, thead button") == []


def test_every_plot_and_region_has_a_name_and_no_heading_is_skipped(show: Any) -> None:
    page = show()
    tree = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    for role in ("image", "region", "table", "radio"):
        names = [
            node.get("name", {}).get("value", "")
            for node in tree
            if not node["ignored"] and node.get("role", {}).get("value") == role
        ]
        assert names, role
        assert all(names), role
    levels = page.execute_script("return [...document.querySelectorAll('h1,h2,h3,h4')].map(h => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("width", [400, 1280])
def test_text_of_plots_is_legible_and_inside(show: Any, width: int) -> None:
    page = show(width=width)
    found = page.execute_script(
        "return [...document.querySelectorAll('svg')].filter(s => s.getBoundingClientRect().width > 0).flatMap(s => {"
        "const box = s.getBoundingClientRect();"
        "return [...s.querySelectorAll('text')].map(t => t.getBoundingClientRect()).map(r => "
        "[r.height, r.left - box.left, box.right - r.right])})"
    )
    assert found
    assert min(height for height, _, _ in found) >= 10
    assert min(min(left, right) for _, left, right in found) >= -1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(show: Any, scheme: str) -> None:
    page = show(scheme=scheme)
    pairs = page.execute_script(
        "const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});"
        "const rgb = colour => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);"
        "  return [...canvas.getImageData(0, 0, 1, 1).data] };"
        "const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);"
        "  if (c[3] === 255) return c } return [255, 255, 255, 255] };"
        "const seen = [...document.querySelectorAll('main *:not(svg *)')].filter(e => e.getBoundingClientRect().width"
        "  && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()));"
        "return seen.map(e => [rgb(getComputedStyle(e).color), ground(e), e.outerHTML.slice(0, 60), e.className])"
    )
    assert len(pairs) > 500
    for text, ground, what, name in pairs:
        assert contrast(text, ground) >= (3 if "mark" in name else 4.5), (scheme, what)


def test_print_shows_every_group_and_hides_the_controls(show: Any) -> None:
    page = show(media="print")
    tables = page.find_elements("css selector", ".group table[id^=results]")
    assert [table.is_displayed() for table in tables] == [True] * 5
    assert not page.find_element("css selector", ".switch").is_displayed()


def contrast(first: list[int], second: list[int]) -> float:
    """The contrast ratio of two colours, 0 to 255 each (WCAG 2.2)."""
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: list[int]) -> float:
    parts = [value / 255 for value in colour[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(show: Any, width: int, scheme: str) -> None:
    assert violations(show(width=width, scheme=scheme)) == []
