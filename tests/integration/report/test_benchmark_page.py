"""The page about a benchmark that really ran says who is best at what, and everybody can read it.

The screenshots lie in the folder that ADCTL_SCREENSHOTS names, for people to look at.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import chromium
import markup
import readable
from ad_platform.benchmark_report import page_of
from ad_platform.benchmarks.viewing import benchmark_view
from ad_platform.states import JobKind, JobState
from benchmarked import Ran

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.timeout(300)
PHONE, DESK = 390, 1280


def look(page: "Page", name: str) -> None:
    """Keep a screenshot, for people, where they want any."""
    folder = os.environ.get("ADCTL_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def built(ran: Ran) -> str:
    return page_of(ran.bench.store, ran.bench.client.storage, ran.benchmark)


def test_it_says_who_is_best_what_is_missing_and_where_models_are_worst(ran: Ran) -> None:
    text = built(ran)
    assert markup.problems(text) == []
    assert text == built(ran)
    assert len(text) < 3_000_000
    seen = markup.Markup(text).text
    view = benchmark_view(ran.bench.store, ran.benchmark)
    assert "2 models on 3 categories of MVTec AD with 1 seed" in seen
    assert "Of 6 cells (a model on a category with a seed) 5 have a result, 1 ended without one." in seen
    for model in ("pixel_mean", "gradual"):
        found = {name: view.results(model, name, "image_auroc") for name in ("bottle", "carpet", "screw")}
        average = sum(values[0] for values in found.values() if values) / sum(map(bool, found.values()))
        assert f"{model} {100 * average:.1f}" in seen
        assert f"{model} is worst on " in seen
    (failed,) = (job for job in ran.jobs if job.state is JobState.FAILED and job.kind is JobKind.TRAIN)
    assert f"job {failed.id}: it broke" in seen
    assert f"adctl why {failed.id[:8]}" in seen
    assert f"adctl retry {ran.benchmark.name}" in seen
    evaluations = [
        job for job in ran.jobs if job.kind is JobKind.EVALUATE and job.state is JobState.SUCCEEDED
    ]
    assert len(evaluations) == 5
    for job in evaluations:
        assert f"adctl report {job.id[:8]}" in seen
    assert "DDAD (published)" in seen
    assert "<h4>test/" in text  # a miss or a false alarm of a worst category, as pictures
    assert "Which differences are real" in seen


def test_everybody_can_read_it_on_a_phone_on_a_desk_and_in_the_dark(ran: Ran, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(built(ran))
    asked: list[str] = []
    with chromium.page(DESK) as page:
        page.on("request", lambda request: asked.append(request.url))
        for width, colours in ((PHONE, "light"), (DESK, "dark"), (DESK, "light")):
            page.set_viewport_size({"width": width, "height": 844})
            page.emulate_media(color_scheme=colours)  # type: ignore[arg-type]
            page.goto((tmp_path / "report.html").as_uri())
            for folded in page.locator("details").all():
                folded.evaluate("(each) => { each.open = true; }")
            assert readable.problems(page) == [], (width, colours)
            look(page, f"benchmark-{width}-{colours}")
        assert "div Table of image AUROC" in readable.reached(page)
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
