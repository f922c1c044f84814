"""The page of a sweep, in a real browser without a network: every plot is drawn, and the table sorts.

The screenshots lie in the folder that ADCTL_SCREENSHOTS names, for people to look at.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import chromium
import markup
import readable
import study_cases as cases
from ad_platform.sweeps.report import Optimism, ReportFacts, TestScore, build

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.timeout(300)
LUCK = Optimism(selected=0.86, corrected=0.84, optimism=0.02, low=0.78, high=0.9, trials=26, images=64)
SCORE = TestScore(metric="test/image_auroc", value=0.83, low=0.77, high=0.89)
FACTS = ReportFacts(chosen=31, selected=0.86, optimism=LUCK, test=SCORE, preset_test=0.71)


def look(page: "Page", name: str) -> None:
    """Keep a screenshot, for people, where they want any."""
    folder = os.environ.get("ADCTL_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def column(page: "Page", number: int) -> list[str]:
    return page.locator(f"table.trials tbody td:nth-child({number})").all_inner_texts()


def drawn(page: "Page") -> int:
    """Wait until every plot is drawn, and return how many there are."""
    plots = page.locator(".plot")
    for number in range(plots.count()):
        plots.nth(number).scroll_into_view_if_needed()
        page.locator(f"#{plots.nth(number).get_attribute('id')}.js-plotly-plot .main-svg").first.wait_for()
    return plots.count()


def test_a_browser_draws_every_plot_asks_nobody_and_sorts_the_trials(tmp_path: Path) -> None:
    spec = cases.spec()
    trials = cases.trials(spec, 60)
    build(cases.study(spec, 60), spec, trials, cases.rungs(trials), FACTS, tmp_path / "a folder")
    assert markup.problems((tmp_path / "a folder" / "report.html").read_text()) == []
    with chromium.page(1280) as page:
        asked: list[str] = []
        wrong: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto((tmp_path / "a folder" / "report.html").as_uri())
        assert drawn(page) == 12
        assert page.locator(".contour .contourfill, .contour .heatmapfill, .contourlines").count() > 0
        look(page, "report")
        assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
        assert wrong == []
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 844})
            page.reload()  # plots follow another width in their own time
            assert drawn(page) == 12
            assert readable.problems(page) == [], width
        assert "button trial" in readable.reached(page)

        head = page.locator("table.trials th button").first
        head.click()
        assert column(page, 1) == [str(number) for number in range(60)]
        head.click()
        assert column(page, 1)[0] == "59"
        page.locator("table.trials th button").nth(2).click()
        values = [text for text in column(page, 3) if text != "-"]
        assert values == sorted(values)
        assert column(page, 3)[-1] == "-"  # what is unknown stands last, whichever way
