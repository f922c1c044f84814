"""Take mlflow.png of the README: a picture of the gallery of an evaluation, on MLflow's page of its run.

PYTHONPATH=tests python docs/images/make_mlflow.py "$(adctl ui JOB --no-browser -q)"
"""

import io
import sys
from pathlib import Path

from PIL import Image

import chromium

SIZE = (1280, 640)


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
        shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    # A palette, since a README's picture should be small.
    shot.quantize(256, Image.Quantize.MAXCOVERAGE).save(Path(__file__).with_name("mlflow.png"), optimize=True)


if __name__ == "__main__":
    main(sys.argv[1].strip())
