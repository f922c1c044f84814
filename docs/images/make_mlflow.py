"""Take mlflow.png of the README: a picture of the gallery of an evaluation, on MLflow's page of its run.

PYTHONPATH=tests python docs/images/make_mlflow.py "$(adctl ui JOB --no-browser -q)"
"""

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Page

SIZE = (1280, 640)


def still(page: "Page") -> bytes:
    """Return a screenshot once the page has stopped moving: folders unfold slowly on a busy machine."""
    before, shot = b"", page.screenshot()
    while shot != before:
        page.wait_for_timeout(1000)
        before, shot = shot, page.screenshot()
    return shot


def main(run: str) -> None:
    """Open the run's artifacts in a headless browser and write the picture beside this file."""
    with chromium.page(*SIZE) as page:
        page.goto(run)
        page.wait_for_url("**/experiments/*/runs/*")  # where its experiment is known, it has more pages
        run = page.url.partition("?")[0]
        page.get_by_text("Model training").first.click()
        page.goto(f"{run}/artifacts")
        page.get_by_role("button", name="Close").click()
        page.get_by_text("results", exact=True).click()
        page.get_by_text("gallery", exact=True).click()
        page.get_by_text(".png").first.wait_for()
        page.get_by_text("-found-broken").last.click()
        page.wait_for_function("() => [...document.images].some(i => i.naturalWidth > 400)")
        shot = Image.open(io.BytesIO(still(page))).convert("RGB")
    # A palette, since a README's picture should be small.
    shot.quantize(256, Image.Quantize.MAXCOVERAGE).save(Path(__file__).with_name("mlflow.png"), optimize=True)


if __name__ == "__main__":
    main(sys.argv[1].strip())
