"""A headless Chromium that is installed on this machine, driven by Playwright; nothing is downloaded."""

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import services

if TYPE_CHECKING:
    from playwright.sync_api import Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 90.0  # seconds for a page on a busy machine


@contextmanager
def page(width: int = 1440, height: int = 1000) -> Iterator["Page"]:
    """Open a page in a browser of our own; skip here, and fail in CI, where there is none."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        services.unavailable("there is no Chromium; apt-get install chromium")
    if importlib.util.find_spec("playwright") is None:
        services.unavailable("playwright is not installed; pip install -e '.[dev]'")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        # Its sandbox wants privileges that containers lack; it sees nothing but our own pages.
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        try:
            opened = browser.new_page(viewport={"width": width, "height": height})
            opened.set_default_timeout(PATIENCE * 1000)
            yield opened
        finally:
            browser.close()
