"""The page about a job in a real browser without a network: on a phone, on a desk, in the dark, on paper.

The screenshots lie in the folder that ADCTL_SCREENSHOTS names, for people to look at.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import chromium
import readable
from ad_platform.job_report import page_of
from ad_platform.store.engine import open_store
from clientkit import migrated
from desks import Desks, make_category
from reported import CONFIG, Reported

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.timeout(300)
PHONE, DESK = 390, 1280
SIDE = 32


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    category = make_category(folder / "parts" / "screw", test=True, side=SIDE, normal=40)
    store = open_store(f"sqlite:///{migrated(folder)}")
    desks = Desks(folder)
    try:
        reported = Reported(store, desks)
        fit = reported.train(category, "pixel_mean", {**CONFIG, "image_size": SIDE})
        text = page_of(store, reported.storage, reported.evaluate(fit))
    finally:
        desks.close()
        store.close()
    (folder / "report.html").write_text(text)
    return folder / "report.html"


def look(page: "Page", name: str) -> None:
    """Keep a screenshot, for people, where they want any."""
    folder = os.environ.get("ADCTL_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def test_everybody_can_read_it_on_a_phone_on_a_desk_and_in_the_dark(place: Path) -> None:
    asked: list[str] = []
    wrong: list[str] = []
    with chromium.page(DESK) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: wrong.append(message.text))
        for width in (PHONE, DESK):
            page.set_viewport_size({"width": width, "height": 844})
            for colours in ("light", "dark"):
                page.emulate_media(color_scheme=colours)  # type: ignore[arg-type]
                page.goto(place.as_uri())
                for folded in page.locator("details").all():
                    folded.evaluate("(each) => { each.open = true; }")
                assert readable.problems(page) == [], (width, colours)
                look(page, f"job-{width}-{colours}")
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.emulate_media(color_scheme="light")
        assert dark != page.evaluate("getComputedStyle(document.body).backgroundColor")
        broken = "[...document.images].filter((each) => each.complete && !each.naturalWidth).length"
        assert page.evaluate(broken) == 0
        assert page.evaluate("document.images.length") >= 7 * 3
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert wrong == []


def test_a_keyboard_reaches_all_of_it_and_opens_what_is_folded(place: Path) -> None:
    with chromium.page(PHONE, 844) as page:
        page.goto(place.as_uri())
        reached = readable.reached(page)
        assert reached[0] == "a Skip to the content"
        assert reached[1] == "a Verdict"
        assert "div Misses of each kind of defect" in reached
        assert sum(each.startswith("summary ") for each in reached) == page.locator("summary").count() > 0
        page.locator("summary", has_text="other test images").focus()
        page.keyboard.press("Enter")
        assert page.locator("details[open] img").first.is_visible()
        page.keyboard.press("Home")
        page.locator(".skip").focus()
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"


def test_on_paper_everything_is_unfolded_dark_on_white_and_nothing_scrolls(place: Path) -> None:
    with chromium.page(DESK) as page:
        page.goto(place.as_uri())
        page.emulate_media(media="print", color_scheme="dark")
        assert page.locator("nav").is_hidden()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        heights = page.evaluate(
            "[...document.querySelectorAll('details .panels img')].map((each) => each.offsetHeight)"
        )
        assert min(heights) > 50
        assert readable.problems(page) == []
        assert len(page.pdf(format="A4")) > 20_000
