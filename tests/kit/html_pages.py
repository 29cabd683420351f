"""What the tests of the two HTML pages share: a strict reader of their text, and a real browser."""

from __future__ import annotations

import base64
import importlib.metadata
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

VOID = {"meta", "link", "br", "img", "hr", "input"}
SCRIPT_SECONDS = 110.0
"""What a script may take on a busy machine; the driver itself gives up after 30, and the connection to it after 120."""
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update"),
    *("--disable-background-networking", "--disable-sync"),
]


class PageReader(HTMLParser):
    """Collects tags, ids, attributes and texts, and checks that every element is closed by its own end tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert not self.open
        self.ids = [value or "" for name, value in self.attributes if name == "id"]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.texts.append(data)


def start_browser(profile: Path) -> Any:
    """Chromium without a screen and without a network of its own; it keeps the logs of its console and its requests."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("no chromium or chromedriver here: apt-get install -y chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="pip install selenium")
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    browser.set_script_timeout(SCRIPT_SECONDS)
    return browser


def open_page(browser: Any, page: Path) -> Any:
    """Opens a page of this machine, and comes back when its script has run.

    `get` alone may come back before: on a busy machine the driver can take the document that is being left for the new
    one.
    """
    from selenium.webdriver.support.wait import WebDriverWait

    address = page.as_uri()
    browser.get(address)
    there = "return location.href === arguments[0] && document.readyState === 'complete'"
    WebDriverWait(browser, 60).until(lambda opened: opened.execute_script(there, address))
    return browser


def beyond_the_edge(page: Any) -> list[str]:
    """The beginnings of those elements that stick out of the window; what scrolls by itself is left out."""
    found: list[str] = page.execute_script(
        "const edge = document.documentElement.clientWidth + 1;"
        "return [...document.querySelectorAll('main :not(.scroll *, nav *, svg *)')]"
        ".filter(e => e.getBoundingClientRect().right > edge).map(e => e.outerHTML.slice(0, 80))"
    )
    return found


def look(page: Any, width: int, scheme: str) -> None:
    """Sets the width of the window in CSS pixels, and whether the reader wants it light or dark."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def violations(page: Any) -> list[str]:
    """What axe-core finds against accessibility in the page as shown, with everything unfolded: rule and element."""
    try:
        package = importlib.metadata.distribution("axe-playwright-python")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("axe-core is missing: python -m pip install --no-deps axe-playwright-python==0.1.8")
    axe = Path(str(package.locate_file("axe_playwright_python/axe.min.js"))).read_text(encoding="utf-8")
    page.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.execute_script(axe)
    found: list[str] = page.execute_async_script(
        "const done = arguments[0];"
        "axe.run(document, {resultTypes: ['violations']}).then(r => done(r.violations.flatMap(v =>"
        "v.nodes.map(n => `${v.id}: ${n.html.slice(0, 120)} ${n.failureSummary.slice(0, 200)}`))),"
        "e => done([String(e)]))"
    )
    return found


def printed_pages(page: Any) -> int:
    """How many sheets of A4 the page takes on paper."""
    inches = {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": False}
    pdf = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", inches)["data"])
    return len(re.findall(rb"/Type\s*/Page\b", pdf))
