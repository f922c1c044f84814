"""MLflow's pages, in a real browser, show a run, its curves and its gallery.

The screenshots lie in the folder that ADCTL_SCREENSHOTS names, for people to look at.
"""

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import pytest
from PIL import Image

import chromium
import services as test_services
import study_cases
from ad_detectors.evaluation import evaluate, write_results
from ad_detectors.report.pictures import write_pictures
from ad_platform.records import Job
from ad_platform.settings import Settings
from ad_platform.stack.lifecycle import environment
from ad_platform.stack.services import services
from ad_platform.tracking.facts import study_run
from ad_platform.tracking.mlflow import MlflowTracker
from ad_platform.tracking.shipper import Shipper
from ad_platform.tracking.studies import StudyRuns
from evaluation_cases import fitted, held_out, split
from job_stories import Stories
from mlflow_home import QUIET
from study_stories import StudyStory

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.timeout(600), *(pytest.mark.filterwarnings(words) for words in QUIET)]

CATEGORY = "pages"
START = 300.0  # seconds for the server on a busy machine


def evaluated(stories: Stories, train: Job, folder: Path) -> Job:
    """Let a worker evaluate, with pictures drawn from real scores of made-up images."""
    detector, test = fitted(), split()
    found = evaluate(detector, test, calibration=held_out(4), validation=held_out(3))
    write_results(found, folder, CATEGORY)
    write_pictures(found, folder, detector, test, f"{train.spec.detector} on mvtec/{CATEGORY}")
    assert found.operating is not None
    measured = {name: value for name, value in found.flat().items() if value is not None}
    lease = stories.lease(stories.submit_evaluation(train))
    return stories.succeed(lease, folder, measured, operating_point={**found.operating.to_json()})


@pytest.fixture
def server(settings: Settings, tmp_path: Path) -> Iterator[str]:
    """Run MLflow's pages as `adctl up` does, on a free port."""
    port = test_services.free_port()
    (ui,) = (each for each in services(settings, slots=None, ui_port=port) if each.name == "mlflow")
    log = tmp_path / "mlflow.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ui.command, stdout=output, stderr=output, cwd=settings.home, env=environment(settings)
        )
    try:
        address, end, pause = f"http://127.0.0.1:{port}", time.monotonic() + START, Event()
        while not answers(f"{address}/health"):
            ended = process.poll() is not None or time.monotonic() > end
            assert not ended, f"no pages: {log.read_text()[-2000:]}"
            pause.wait(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def look(page: "Page", name: str) -> None:
    """Keep a screenshot, for people, where they want any."""
    folder = os.environ.get("ADCTL_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_a_browser_shows_the_run_its_curves_and_its_gallery(
    stories: Stories, tracker: MlflowTracker, server: str, tmp_path: Path
) -> None:
    train = stories.trained(None, category=CATEGORY)
    evaluation = evaluated(stories, train, tmp_path / "results")
    Shipper(stories.store, stories.storage, tracker, "s1").once()
    experiment = tracker.client.get_experiment_by_name(f"mvtec/{CATEGORY}").experiment_id
    runs = f"{server}/#/experiments/{experiment}/runs"

    with chromium.page() as page:
        page.goto(server)
        page.get_by_text("Model training", exact=True).click()  # what its menu shows: not language models
        page.get_by_role("button", name="Close", exact=True).click()  # the panel of an assistant
        page.goto(runs)
        for job in (train, evaluation):
            page.get_by_text(f"{job.kind}-ddad-{job.id[:8]}").first.wait_for()
        look(page, "experiment")
        check_training(page, f"{runs}/{tracker.ensure_run(train)}")
        check_evaluation(page, f"{runs}/{tracker.ensure_run(evaluation)}", evaluation)
        check_gallery(page, f"{runs}/{tracker.ensure_run(evaluation)}", tmp_path / "results")


def test_a_browser_shows_the_jobs_of_a_sweep_below_it_and_its_report(
    stories: Stories, tracker: MlflowTracker, server: str
) -> None:
    spec = study_cases.spec(space=(study_cases.NOISE, study_cases.W))
    story = StudyStory(stories, study_cases.of_category(spec, "sweeps"), "sweep-of-pages")
    for number in range(12):
        story.trial(number, round(0.7 + 0.02 * (number * 7 % 12), 3))
        stories.lease(story.job(number))
    story.finish(5, 0.92)
    studies = StudyRuns(stories.store, tracker)
    Shipper(stories.store, stories.storage, tracker, "s1", [studies], studies.parent_of).once()
    experiment = tracker.client.get_experiment_by_name("mvtec/sweeps").experiment_id
    runs = f"{server}/#/experiments/{experiment}/runs"
    with chromium.page() as page:
        page.goto(server)
        page.get_by_text("Model training", exact=True).click()
        page.get_by_role("button", name="Close", exact=True).click()
        page.goto(runs)
        row = page.get_by_role("gridcell").filter(has_text="sweep-of-pages")
        row.get_by_text("sweep-of-pages", exact=True).wait_for()
        assert page.get_by_text("sweep-of-pages #7", exact=True).count() == 0
        row.get_by_role("button").first.click()  # what unfolds it
        page.get_by_text("sweep-of-pages #7", exact=True).wait_for()
        look(page, "sweep-runs")
        check_sweep(page, f"{runs}/{tracker.ensure_parent_run(study_run(story.study))}")


def check_sweep(page: "Page", run: str) -> None:
    """Check what a sweep's own page says, its curve, and that its report is drawn within the page."""
    page.goto(run)
    page.get_by_text("Child runs", exact=True).wait_for()
    page.get_by_text("Searches noise_step (50:500:25), w (0:12) of ddad").first.wait_for()
    look(page, "sweep-run")
    page.goto(f"{run}/model-metrics")
    points = page.locator(".js-plotly-plot .scatterlayer .trace").first.locator(".point")
    points.first.wait_for(state="attached")
    assert points.count() == 12
    page.goto(f"{run}/artifacts")
    page.get_by_text("report.html", exact=True).click()
    report = page.frame_locator("iframe")
    report.get_by_text("12 asked = 12 complete + 0 pruned + 0 failed").wait_for()
    report.locator("#plot-1").scroll_into_view_if_needed()
    report.locator("#plot-1 .main-svg").first.wait_for()
    look(page, "sweep-report")


def check_training(page: "Page", run: str) -> None:
    """Check the parameters, and the curve: a line with a point for each of the four steps."""
    page.goto(run)
    page.get_by_text("feature.skip").first.wait_for()
    page.get_by_text("Trains ddad, preset tiny, seed 7").first.wait_for()
    look(page, "train")
    page.goto(f"{run}/model-metrics")
    points = page.locator(".js-plotly-plot .scatterlayer .point")
    points.first.wait_for(state="attached")
    assert points.count() == 4
    look(page, "curves")


def check_evaluation(page: "Page", run: str, job: Job) -> None:
    """Check the headline of the description, and the measures."""
    page.goto(run)
    page.get_by_text(f"evaluate-ddad-{job.id[:8]}").first.wait_for()
    page.get_by_text("Threshold on the image score").first.wait_for()
    page.get_by_text("test/image_auroc").first.wait_for()
    look(page, "evaluation")


def check_gallery(page: "Page", run: str, results: Path) -> None:
    """Check that a plot and a picture of the gallery are really there, not only their names."""
    page.goto(f"{run}/artifacts")
    page.get_by_text("results", exact=True).click()
    page.get_by_text("histogram.png", exact=True).click()
    wait_for_picture(page, results, "histogram.png")
    page.get_by_text("gallery", exact=True).click()
    first = min(path.name for path in (results / "gallery").glob("*.png"))
    page.get_by_text(first, exact=True).click()
    wait_for_picture(page, results, f"gallery/{first}")
    look(page, "gallery")


def wait_for_picture(page: "Page", results: Path, name: str) -> None:
    """Wait until the page says that it shows this file, and the browser has a picture of its size."""
    page.get_by_text(f"results/{name}", exact=True).wait_for()
    with Image.open(results / name) as picture:
        size = list(picture.size)
    loaded = "size => [...document.images].some(i => i.naturalWidth == size[0] && i.naturalHeight == size[1])"
    page.wait_for_function(loaded, arg=size)
