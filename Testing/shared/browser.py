"""A headless Chromium that reaches nothing but files, and tells what went wrong on a page."""

from __future__ import annotations

import base64
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

Value = TypeVar("Value")
WAIT_SECONDS = 180.0


def programs() -> tuple[str, str]:
    """Paths of Chromium and of its driver; skips the test where one is missing."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("Chromium or chromedriver is not installed")
    return chromium, driver


class Browser:
    """One window of it.

    Args:
        driver: Selenium's.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path, *, width: int = 1400, height: int = 1000) -> None:
        """Open a file at a width in CSS pixels."""
        self.resize(width, height)
        self.driver.get_log("browser")
        self.driver.get(path.absolute().as_uri())

    def resize(self, width: int, height: int) -> None:
        """Give the page another size, in CSS pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page, ``return`` gives its value."""
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[Any]:
        """Elements by CSS selector."""
        return list(self.driver.find_elements("css selector", selector))

    def one(self, selector: str) -> Any:
        """The element by CSS selector."""
        return self.driver.find_element("css selector", selector)

    def wait(self, what: Callable[[], Value]) -> Value:
        """Wait until something is true, and give it back."""
        end = time.monotonic() + WAIT_SECONDS
        while not (value := what()):
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.02)
        return value

    def complaints(self) -> list[str]:
        """What stands in the console since the page was opened."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]

    def picture(self) -> bytes:
        """The whole page as a PNG."""
        options = {"captureBeyondViewport": True}
        return base64.b64decode(self.driver.execute_cdp_cmd("Page.captureScreenshot", options)["data"])

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])

    def see_as(self, deficiency: str) -> None:
        """Show colours as somebody with that deficiency sees them; ``"none"`` shows them again."""
        self.driver.execute_cdp_cmd("Emulation.setEmulatedVisionDeficiency", {"type": deficiency})


@contextmanager
def a_browser(profile: Path) -> Iterator[Browser]:
    """Start it, with a profile of its own and without a network."""
    from selenium import webdriver

    chromium, driver = programs()
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--hide-scrollbars",
        "--disable-background-networking",
        "--no-first-run",
        # Whatever asks for a name, or for another address than a file's, gets nothing.
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=driver)
    started = webdriver.Chrome(options=options, service=service)
    try:
        started.set_page_load_timeout(WAIT_SECONDS)
        yield Browser(started)
    finally:
        started.quit()
